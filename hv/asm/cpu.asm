; A CPU's own pages: its block with GDT and TSS, its interrupt stacks; and the IDT that all share. hv_main calls cpu_init first, a
; further CPU when it comes (cpus.asm).
%define HV_CPU
%include "hv.inc"

global cpu_init, cpu_pages, direct_map, host_idtr, host_xcr0, stack_map
extern boot_cpu, vector_stubs, early_alloc

section .rodata
align 8
direct_map: dq DIRECT_MAP

host_idtr:
    dw 256 * 16 - 1
    dq idt

section .bss
alignb 16
idt:        resb 256 * 16
host_xcr0:  resq 1
alignb PAGE
; #PF, #DF, NMI and #MC each have a stack of their own, and interrupts share one (they do not nest): a machine's stack may have no room
; left, and a fault on the way into an interrupt's handler would leave its EOI undone
cpu_pages:  resb HostLimit_CpuPlaces << CPU_SHIFT

section .text

; Loads GDT, TSS, IDT, GS, and makes the CPU's settings what the hypervisor's are. Interrupts stay off.
; In: EDI CPU index  Out: -  Clobbers: RAX RCX RDX RBX RSI RDI
cpu_init:
    mov ebx, edi
    shl ebx, CPU_SHIFT
    add rbx, cpu_pages
    mov [rbx + pc.self], rbx
    mov [rbx + pc.index], edi
    mov qword [rbx + pc.armed], -1
    ; TSS: IST1..5 at offset 36
    lea rdi, [rbx + pc.tss]
    lea rax, [rbx + CPU_IST + PAGE]
    mov ecx, 5
.ist:
    mov [rdi + 36], rax
    add rdi, 8
    add rax, PAGE
    loop .ist
    mov word [rbx + pc.tss + 102], 104          ; no I/O bitmap

    mov rax, 0x00AF9B000000FFFF                 ; 08h code, 64-bit
    mov [rbx + pc.gdt + SEL_CODE], rax
    mov rax, 0x00CF93000000FFFF                 ; 10h data
    mov [rbx + pc.gdt + SEL_DATA], rax
    lea rax, [rbx + pc.tss]                     ; 18h TSS, 16 bytes
    lea rdi, [rbx + pc.gdt + SEL_TSS]
    mov word [rdi], 103
    mov [rdi + 2], ax
    shr rax, 16
    mov [rdi + 4], al
    mov byte [rdi + 5], 0x89
    mov [rdi + 7], ah
    shr rax, 16
    mov [rdi + 8], eax
    mov word [rbx + pc.gdtr], 5 * 8 - 1
    lea rax, [rbx + pc.gdt]
    mov [rbx + pc.gdtr + 2], rax

    mov eax, [boot_cpu]
    cmp [rbx + pc.index], eax
    jne .load                                   ; the one that boots has made the IDT
    mov rdi, idt
    mov esi, vector_stubs
    xor ecx, ecx
.gate:
    mov eax, esi
    add esi, STUB_BYTES
    mov [rdi], ax
    mov word [rdi + 2], SEL_CODE
    mov edx, 0x8E00
    call ist_of
    mov [rdi + 4], dx
    shr rax, 16
    mov [rdi + 6], ax
    shr rax, 16
    mov [rdi + 8], eax
    mov dword [rdi + 12], 0
    add rdi, 16
    inc ecx
    cmp ecx, 256
    jb .gate

.load:
    lgdt [rbx + pc.gdtr]
    lidt [host_idtr]
    mov eax, SEL_DATA
    mov ds, eax
    mov es, eax
    mov ss, eax
    xor eax, eax
    mov fs, eax
    mov gs, eax
    push SEL_CODE
    lea rax, [.reload]
    push rax
    retfq
.reload:
    mov eax, SEL_TSS
    ltr ax
    mov ecx, MSR_GS_BASE
    mov eax, ebx
    xor edx, edx
    wrmsr

    mov ecx, MSR_PAT
    mov rdx, HOST_PAT_VALUE
    mov eax, edx
    shr rdx, 32
    wrmsr
    ; SSE and XSAVE are for guests' state only: generated code has neither
    mov rax, cr0
    and eax, ~((1 << 2) | (1 << 3) | CR0_NW | CR0_CD)   ; EM, TS; caches on, which Bochs' BIOS leaves off
    or eax, 1 << 1 | CR0_NE                     ; MP
    mov cr0, rax
    mov rax, cr4
    or eax, (1 << 9) | (1 << 10)                ; OSFXSR, OSXMMEXCPT
    mov cr4, rax
    mov eax, 1
    cpuid
    test ecx, 1 << 26                           ; XSAVE
    jz .no_xsave
    mov rax, cr4
    or eax, 1 << 18                             ; OSXSAVE
    mov cr4, rax
    mov eax, 0x0D
    xor ecx, ecx
    cpuid
    and eax, 7                                  ; x87, SSE, AVX: what guests are offered
    mov [host_xcr0], rax
    xor edx, edx
    xor ecx, ecx
    xsetbv
.no_xsave:
    ret

; In: ECX vector, EDX gate type  Out: EDX with the IST index
ist_of:
    cmp ecx, 14
    je .pf
    cmp ecx, 8
    je .df
    cmp ecx, 2
    je .nmi
    cmp ecx, 18
    je .mc
    cmp ecx, 32
    jae .interrupt
    ret
.pf: or edx, 1
    ret
.df: or edx, 2
    ret
.nmi: or edx, 3
    ret
.mc: or edx, 4
    ret
.interrupt: or edx, 5
    ret

; Maps a CPU's stack of STACK_BYTES at STACKS with nothing below or above it. Before frames_init.
; In: EDI CPU index  Clobbers: RAX RCX RDX RSI RDI R8 R9
stack_map:
    push rbx
    push r12
    mov ebx, edi
    shl rbx, 21                                 ; a page table (2 MiB) each
    mov rax, STACKS
    add rbx, rax
    mov rdi, cr3
    TO_VIRTUAL rdi
    mov ecx, 39
.level:
    mov rdx, rbx
    shr rdx, cl
    and edx, 511
    lea r12, [rdi + rdx * 8]
    cmp qword [r12], 0
    jne .present
    push rcx
    call early_alloc
    pop rcx
    or rax, PTE_P | PTE_W
    mov [r12], rax
.present:
    mov rdi, [r12]
    and rdi, ~0xFFF
    TO_VIRTUAL rdi
    sub ecx, 9
    cmp ecx, 12
    ja .level
    ; leaf entries 1..16; 0 stays empty: the guard
    lea r12, [rdi + 8]
    mov ebx, STACK_BYTES / PAGE
.page:
    call early_alloc
    or rax, PTE_P | PTE_W
    bts rax, 63
    mov [r12], rax
    add r12, 8
    dec ebx
    jnz .page
    pop r12
    pop rbx
    ret
