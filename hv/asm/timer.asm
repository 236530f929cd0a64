; Time: the TSC's rate against PIT channel 2, nanoseconds, the local APIC's one-shot timer, and its interrupt, which is also
; the watchdog over machine code.
%include "hv.inc"
%include "apic.inc"

global watch_tsc, timer_init, timer_cpu, timer_arm, timer_watch, timer_interrupt, clock_ns, tsc_khz, tsc_base, ns_of_tsc, tsc_of_ns, tsc_from_ns
extern machine_trapped

; PIT input clocks in the calibration: 2 ms. Under icount each is an instruction spent (reset to ready has a budget).
PIT_CLOCKS      equ 2386
PIT_HZ          equ 1193182
TRIES           equ 10


section .bss
alignb 8
tsc_khz:    resq 1
tsc_base:   resq 1
ns_of_tsc:  resq 1                              ; 32.32: nanoseconds a tick
tsc_of_ns:  resq 1                              ; 32.32: ticks a nanosecond
apic_of_tsc: resq 1                             ; 32.32: local APIC counts a tick
watch_tsc:  resq 1                              ; ticks in 10 ms

section .text

; This CPU's local APIC, its one-shot timer not counting. Out: R9 its registers  Clobbers: RAX RCX RDX
timer_cpu:
    mov ecx, 0x1B                               ; IA32_APIC_BASE: enabled, not x2APIC (SDM vol. 3, 11.4.4)
    rdmsr
    or eax, 1 << 11
    wrmsr
    mov r9d, LAPIC
    mov dword [r9 + LAPIC_SVR], 0x100 | VEC_SPURIOUS
    mov dword [r9 + LAPIC_DIVIDE], 0x0B              ; by 1
    mov dword [r9 + LAPIC_LVT_TIMER], VEC_TIMER
    ret

; The first CPU's local APIC, and the rates, which are every CPU's. In: -  Out: -  Clobbers: caller-saved
timer_init:
    push rbx
    push rbp
    push r12
    push r13
    call timer_cpu
    mov dword [r9 + LAPIC_LVT_LINT0], 0x700          ; ExtINT: the 8259's INTR, which no other CPU takes
    mov dword [r9 + LAPIC_LVT_TIMER], 0x10000 | VEC_TIMER

    ; An emulator's CPU thread may stand still in the middle. So each try brackets the interval: it is at least from after the start to
    ; the last look that found OUT low, at most from before the start to the look that found it high. The narrowest of TRIES is taken.
    mov r12d, TRIES
    mov r13, -1                                 ; narrowest bracket so far
.try:
    ; channel 2, mode 0, gate on, speaker off: OUT rises after PIT_CLOCKS
    in al, 0x61
    and al, 0xFC
    or al, 1
    out 0x61, al
    mov al, 0xB0
    out 0x43, al
    mov al, PIT_CLOCKS & 0xFF
    out 0x42, al
    RDTSC64
    mov rsi, rax                                ; before the start
    mov dword [r9 + LAPIC_INITIAL], 0xFFFFFFFF
    mov al, PIT_CLOCKS >> 8
    out 0x42, al
    RDTSC64
    mov rdi, rax                                ; after it
    mov r10, rax
    mov ecx, 10000000
.wait:
    mov r8, r10                                 ; when OUT was low for sure
    RDTSC64
    mov r10, rax
    in al, 0x61
    test al, 0x20
    loopz .wait
    mov r11d, [r9 + LAPIC_CURRENT]
    RDTSC64
    mov dword [r9 + LAPIC_INITIAL], 0
    mov rcx, rax
    sub rcx, rsi                                ; at most
    sub r8, rdi                                 ; at least
    mov rdx, rcx
    sub rdx, r8
    cmp rdx, r13
    jae .worse
    mov r13, rdx
    lea rbx, [rcx + r8]
    shr rbx, 1                                  ; TSC ticks: the middle
    not r11d
    mov ebp, r11d                               ; APIC counts
    mov [tsc_base], rax
    shl rdx, 8
    cmp rdx, rbx                                ; the bracket is below 0.4%: good enough
    jb .good
.worse:
    dec r12d
    jnz .try
.good:
    mov rax, rbx
    mov r8d, ebp

    ; kHz = ticks * PIT_HZ / (PIT_CLOCKS * 1000)
    mov ecx, PIT_HZ
    mul rcx
    mov ecx, PIT_CLOCKS * 1000
    div rcx
    mov [tsc_khz], rax
    mov rcx, rax
    mov rax, 1000000 << 32                      ; 10^6 / kHz in 32.32
    xor edx, edx
    div rcx
    mov [ns_of_tsc], rax
    mov rax, rcx
    shl rax, 32
    xor edx, edx
    mov ecx, 1000000
    div rcx
    mov [tsc_of_ns], rax
    mov rax, r8
    shl rax, 32
    xor edx, edx
    div rbx
    mov [apic_of_tsc], rax
    imul rax, [tsc_khz], 10
    mov [watch_tsc], rax
    mov dword [r9 + LAPIC_LVT_TIMER], VEC_TIMER      ; one-shot
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret

; Out: RAX nanoseconds since the start  Clobbers: RDX
clock_ns:
    RDTSC64
    sub rax, [tsc_base]
    mul qword [ns_of_tsc]
    shrd rax, rdx, 32
    ret

; A deadline in nanoseconds since the start, as TSC. Rounded up, so that clock_ns has reached it when the TSC has.
; In: RAX (all ones: none)  Out: RAX  Clobbers: RDX
tsc_from_ns:
    cmp rax, -1
    je .none
    mul qword [tsc_of_ns]
    test edx, edx
    js .none
    shrd rax, rdx, 32
    add rax, [tsc_base]
    add rax, 2
    ret
.none:
    mov rax, -1
    ret

; Makes the local APIC interrupt at a TSC deadline, if it does not already.
; In: RDI TSC deadline, -1: none  Clobbers: RAX RDX R9
timer_arm:
    cmp rdi, [gs:pc.armed]
    je .done
    mov [gs:pc.armed], rdi
    cmp rdi, -1
    je .off
    mov r9d, LAPIC
    RDTSC64
    neg rax
    add rax, rdi
    jle .now
    mul qword [apic_of_tsc]
    shrd rax, rdx, 32
    mov edx, 0x7FFFFFFF                         ; further off than the counter reaches: it fires early and is armed again
    cmp rax, rdx
    cmova rax, rdx
    test eax, eax
    jz .now
    mov [r9 + LAPIC_INITIAL], eax
    ret
.now:
    mov dword [r9 + LAPIC_INITIAL], 1
.done:
    ret
.off:
    mov r9d, LAPIC
    mov dword [r9 + LAPIC_INITIAL], 0
    ret

; Sees to it that the timer interrupts within 10 ms: before a machine call outside of the run loop, which has its slice armed.
; Clobbers: RAX RDX RDI R9
timer_watch:
    RDTSC64
    add rax, [watch_tsc]
    cmp rax, [gs:pc.armed]
    jae .done
    mov rdi, rax
    jmp timer_arm
.done:
    ret

; The timer interrupt. A machine call that several of them find is a runaway: counting interrupts taken in it, not wall time, so
; that an engine whose CPU thread was not scheduled for a while ends nobody.
timer_interrupt:
    mov r9d, LAPIC
    mov dword [r9 + LAPIC_EOI], 0
    mov qword [gs:pc.armed], -1
    mov dword [gs:pc.attention], 1
    cmp qword [gs:pc.in_machine], 0
    je .done
    mov rax, [gs:pc.sequence]
    cmp rax, [gs:pc.sequence_seen]
    jne .first
    mov eax, [gs:pc.stuck]
    inc eax
    mov [gs:pc.stuck], eax
    cmp eax, [gs:pc.budget]
    jae .runaway
.again:
    jmp timer_watch
.first:
    mov [gs:pc.sequence_seen], rax
    mov dword [gs:pc.stuck], 0
    jmp .again
.runaway:
    mov eax, EndReason_TrapRunaway
    xor edx, edx
    jmp machine_trapped
.done:
    ret
