; All CPUs: how the first one starts the others, and how one reaches another. A further CPU comes by hv/boot/ap.asm, makes itself what the
; first one is, and waits until core is there; then its scheduler loop begins. On QEMU's TCG the first one runs no guests (hv/boot/cpus.asm).
%include "hv.inc"
%include "apic.inc"

global cpus_start, cpus_go, cpus_flush, cpus_stop, cpus_stopped, cpu_ap, cpu_kick, cpu_mask, guest_cpus, kick_interrupt
extern boot_cpus, boot_cpu_count, boot_cpu, ap_trampoline, ap_trampoline_bytes, early_putc, early_puts, early_hex
extern cpu_init, cpu_pages, vendor_enable, timer_cpu, tsc_khz, sched_loop

AP_PAGE         equ 0x8000                      ; where the trampoline is copied to: low memory that hv/boot is done with
INIT_US         equ 10000                       ; INIT to SIPI, SIPI to SIPI (SDM vol. 3, 9.4.4.1)
SIPI_US         equ 200
COME_US         equ 2000000                     ; an emulator's CPU is a thread, and its host may be busy
STOP_MS         equ 10                          ; a panic speaks with or without the others

section .bss
cpu_ready:      resd 1                          ; CPUs that have come, a bit each
cpus_stopped:   resd 1                          ; by a panic
go:             resd 1
cpu_mask:       resd 1                          ; CPUs that work, a bit each
guest_cpus:     resd 1                          ; those of them that run guests

section .text

; Starts the others, all at once; one that does not come is named and left out. With one CPU nothing waits. After timer_init.
; Clobbers: all but RSP
cpus_start:
    mov eax, [boot_cpu]
    bts [cpu_mask], eax
    cmp dword [boot_cpu_count], 1
    jbe .done
    mov edi, AP_PAGE
    mov rsi, ap_trampoline
    mov ecx, ap_trampoline_bytes
    rep movsb
    mov eax, ICR_INIT
    call send_to_others
    mov ecx, INIT_US
    call wait_us
    mov eax, ICR_STARTUP | AP_PAGE >> 12
    call send_to_others
    mov ecx, SIPI_US
    call wait_us
    mov eax, ICR_STARTUP | AP_PAGE >> 12
    call send_to_others
    mov ecx, [boot_cpu_count]
    mov ebx, 1
    shl ebx, cl
    dec ebx
    mov eax, [boot_cpu]
    btr ebx, eax                                ; all but this one
    imul rbp, [tsc_khz], COME_US / 1000
    RDTSC64
    add rbp, rax
.wait:
    pause
    cmp [cpu_ready], ebx
    je .come
    RDTSC64
    cmp rax, rbp
    jb .wait
.come:
    mov eax, [cpu_ready]
    or [cpu_mask], eax
    not eax
    and ebx, eax                                ; those that did not
.missing:
    bsf edi, ebx
    jz .done
    btr ebx, edi
    movzx r12d, byte [boot_cpus + rdi]
    xor eax, eax                                ; text stands between zeros (protocol/link.ts)
    call early_putc
    mov rsi, missing_text
    call early_puts
    mov eax, r12d
    call early_hex
    mov rsi, missing_end
    call early_puts
    xor eax, eax
    call early_putc
    jmp .missing
.done:
    mov eax, [cpu_mask]
    mov edx, eax
    mov ecx, [boot_cpu]
    jrcxz .guests
    btr edx, ecx
    test edx, edx
    cmovnz eax, edx                             ; alone it runs them
.guests:
    mov [guest_cpus], eax
    ret

; In: EAX ICR command  Clobbers: RCX RDX R9
send_to_others:
    xor ecx, ecx
.next:
    cmp ecx, [boot_cpu]
    je .other
    movzx edx, byte [boot_cpus + rcx]
    call send
.other:
    inc ecx
    cmp ecx, [boot_cpu_count]
    jb .next
    ret

; In: EAX ICR command, EDX APIC ID. Interrupts are off.  Clobbers: RDX R9
send:
    mov r9d, LAPIC
.busy:
    test dword [r9 + LAPIC_ICR], ICR_PENDING
    jnz .busy
    shl edx, 24
    mov [r9 + LAPIC_ICR_HIGH], edx
    mov [r9 + LAPIC_ICR], eax
    ret

; In: ECX microseconds  Clobbers: RAX RCX RDX
wait_us:
    imul rcx, [tsc_khz]
    mov rax, rcx
    xor edx, edx
    mov ecx, 1000
    div rcx
    mov rcx, rax
    RDTSC64
    add rcx, rax
.wait:
    pause
    RDTSC64
    cmp rax, rcx
    jb .wait
    ret

; Core is there: the others' loops begin. Clobbers: -
cpus_go:
    mov dword [go], 1
    ret

; A further CPU, from hv/boot/ap.asm: long mode, the first one's page tables, interrupts off, no stack.
cpu_ap:
    mov eax, 1
    cpuid
    shr ebx, 24                                 ; its APIC ID
    xor edi, edi
.index:
    cmp [boot_cpus + rdi], bl
    je .found
    inc edi
    cmp edi, [boot_cpu_count]
    jb .index
    jmp .stop                                   ; nobody called it
.found:
    mov eax, edi
    STACK_OF rax
    call cpu_init
    call [vendor_enable]
    jc .stop
    call timer_cpu
    mov eax, [gs:pc.index]
    lock bts [cpu_ready], eax
.wait:
    pause
    cmp dword [go], 0
    je .wait
    bt [cpu_mask], eax
    jc sched_loop
.stop:                                          ; it came too late, or cannot do what the others do
    cli
    hlt
    jmp .stop

; --- from one CPU to another ----------------------------------------------------------------------------------------------

; Has a CPU look at what is new: an exit if a guest runs there. In: EAX CPU index  Clobbers: RAX RDX R9
cpu_kick:
    pushfq
    cli
    movzx edx, byte [boot_cpus + rax]
    mov eax, ICR_FIXED | VEC_KICK
    call send
    popfq
    ret

; Clobbers: RAX R9
kick_interrupt:
    mov r9d, LAPIC
    mov dword [r9 + LAPIC_EOI], 0
    mov dword [gs:pc.attention], 1
    cmp dword [gs:pc.flush_host], 0
    je .done
    mov rax, cr3
    mov cr3, rax
    mov dword [gs:pc.flush_host], 0
.done:
    ret

; A mapping that all CPUs have is gone from the tables: afterwards no CPU has it in its TLB either. Core's lock is held, so that there is
; one at a time; interrupts are on.  Clobbers: RAX RCX RDX R8 R9
cpus_flush:
    mov rax, cr3
    mov cr3, rax
    mov ecx, [cpu_mask]
    mov eax, [gs:pc.index]
    btr ecx, eax
    mov r8d, ecx
.kick:
    bsf eax, ecx
    jz .kicked
    btr ecx, eax
    mov edx, eax
    shl edx, CPU_SHIFT
    mov dword [cpu_pages + rdx + pc.flush_host], 1
    call cpu_kick
    jmp .kick
.kicked:
    bsf eax, r8d
    jz .done
    btr r8d, eax
    shl eax, CPU_SHIFT
.wait:
    pause
    cmp dword [cpu_pages + rax + pc.flush_host], 0
    jne .wait
    jmp .kicked
.done:
    ret

; A panic: the other CPUs that work stop. One that does not say so in time is not waited for. Interrupts are off.  Clobbers: RAX RCX RDX R8 R9
cpus_stop:
    mov ecx, [cpu_mask]
    jrcxz .done                                 ; GS may be nothing yet
    mov eax, [gs:pc.index]
    btr ecx, eax
    mov r8d, ecx
.next:
    bsf eax, ecx
    jz .sent
    btr ecx, eax
    movzx edx, byte [boot_cpus + rax]
    mov eax, ICR_NMI
    call send
    jmp .next
.sent:
    imul rcx, [tsc_khz], STOP_MS
    RDTSC64
    add rcx, rax
.wait:
    pause
    mov eax, [cpus_stopped]
    and eax, r8d
    cmp eax, r8d
    je .done
    RDTSC64
    cmp rax, rcx
    jb .wait
.done:
    ret

section .rodata
missing_text: db "hvkit: cpu: APIC ID ", 0
missing_end: db " does not start, and is left out", 13, 10, 0
