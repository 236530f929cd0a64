; Exceptions and interrupts of the host: a stub for each vector, the devices' handlers, and where an exception goes: out of
; the machine that runs on this CPU (its guest ends, design.md 3), or to a panic.
; Stubs save all general registers; generated code is compiled without a red zone, so the interrupted stack may be used.
%include "hv.inc"

global vector_stubs, traps_end
extern share_fault, panic, kick_interrupt, timer_interrupt, serial_interrupt, machine_trapped

; what a stub leaves on the stack, from RSP up
struc frame
.r15    resq 1
.r14    resq 1
.r13    resq 1
.r12    resq 1
.r11    resq 1
.r10    resq 1
.r9     resq 1
.r8     resq 1
.rdi    resq 1
.rsi    resq 1
.rbp    resq 1
.rbx    resq 1
.rdx    resq 1
.rcx    resq 1
.rax    resq 1
.vector resq 1
.error  resq 1
.rip    resq 1
.cs     resq 1
.rflags resq 1
.rsp    resq 1
.ss     resq 1
endstruc

section .text

; One stub a vector, STUB_BYTES long: the address that its CALL leaves tells which it was.
vector_stubs:
%rep 256
    call near stub_common
%endrep

; vectors with an error code of the CPU's own: 8, 10-14, 17, 21, 29, 30
WITH_ERROR equ 1 << 8 | 0x1F << 10 | 1 << 17 | 1 << 21 | 1 << 29 | 1 << 30

; In: on the stack the CALL's return address, then the error code if the vector has one, then RIP
stub_common:
    push rax
    push rdx
    mov eax, [rsp + 16]
    sub eax, vector_stubs + STUB_BYTES
    imul eax, eax, 52429                        ; divided by five: 2^18 / 5, rounded up
    shr eax, 18
    cmp eax, 32
    jae .no_error
    mov edx, WITH_ERROR
    bt edx, eax
    jnc .no_error
    mov [rsp + 16], rax
    pop rdx
    jmp .save
.no_error:
    mov qword [rsp + 16], 0
    xchg rax, [rsp + 8]                         ; each one place down: there is room for the error code
    xchg rax, [rsp]
    mov rdx, rax
.save:
    push rcx
    push rdx
    push rbx
    push rbp
    push rsi
    push rdi
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    cld
    mov eax, [rsp + frame.vector]
    cmp eax, VEC_TIMER
    je .timer
    cmp eax, VEC_KICK
    je .kick
    cmp eax, VEC_PIC + 4
    je .serial
    cmp eax, 32
    jb exception
    cmp eax, VEC_SPURIOUS
    je .leave                                   ; no EOI for a spurious APIC interrupt (SDM vol. 3, 11.9)
    cmp eax, VEC_PIC + 7
    je .leave                                   ; nor for a spurious IRQ 7
    mov rdi, unexpected
    cmp eax, VEC_CORE_TRAP
    jne .panic
    mov rdi, core_trap
.panic:
    mov rsi, rsp
    jmp panic
.timer:
    call timer_interrupt
    jmp .leave
.kick:
    call kick_interrupt
    jmp .leave
.serial:
    call serial_interrupt
.leave:
    pop r15
    pop r14
    pop r13
    pop r12
    pop r11
    pop r10
    pop r9
    pop r8
    pop rdi
    pop rsi
    pop rbp
    pop rbx
    pop rdx
    pop rcx
    pop rax
    add rsp, 16
    iretq

; An exception while a machine runs ends that machine's guest; else the hypervisor panics. NMI, #DF and #MC are never a guest's.
; In: EAX vector, RSP frame
exception:
    cmp eax, 1
    jne .other
    mov rcx, dr7
    test cl, cl
    jnz .breakpoint
.other:
    cmp eax, 14
    jne .no_fault
    mov ecx, [rsp + frame.error]
    and ecx, 3
    cmp ecx, 3                                  ; a write to what is there
    je .write
.no_fault:
    cmp eax, 2
    je .panic
    cmp eax, 8
    je .panic
    cmp eax, 18
    je .panic
    mov rbx, [gs:pc.in_machine]
    test rbx, rbx
    jz .panic
    mov edx, eax                                ; the value: the vector
    mov eax, EndReason_TrapException
    cmp edx, 14
    jne .out
    mov rcx, cr2
    mov rdx, rcx
    mov rsi, rcx
    sub rsi, [rbx + guest.linear]
    mov rdi, WINDOW_RAM
    cmp rsi, rdi
    jb .bounds
    mov rdi, STACKS
    sub rcx, rdi
    shr rcx, 32
    jnz .out
    mov eax, EndReason_TrapStackExhausted
    jmp .out
.bounds:
    mov rdx, rsi                                ; the value: the offset that was touched
    mov eax, EndReason_TrapOutOfBounds
.out:
    ; no IRET: the interrupt stack is simply left; the next fault starts at its top again
    jmp machine_trapped
.breakpoint:                                    ; of a guest's debugger, at an address that the host has, too (svm_vcpu.asm)
    bts qword [rsp + frame.rflags], 16          ; RF: the instruction is executed
    mov ecx, 0xFFFF0FF0
    mov dr6, rcx
    jmp stub_common.leave
.write:                                         ; to memory that guests share?
    call share_fault
    test eax, eax
    jz stub_common.leave
    dec eax
    mov eax, 14
    jnz .no_fault
    cmp qword [gs:pc.in_machine], 0
    je .panic
    mov eax, EndReason_OutOfMemory
    jmp .out
.panic:
    mov rdi, [exception_names + rax * 8]
    mov rsi, rsp
    jmp panic

traps_end:

section .rodata
unexpected: db "unexpected interrupt", 0
core_trap: db "trap in core", 0
%macro NAMES 1-*
  %assign n 0
  %rep %0
    name_ %+ n: db %1, 0
    %rotate 1
    %assign n n + 1
  %endrep
%endmacro
NAMES "#DE divide error", "#DB debug", "NMI", "#BP breakpoint", "#OF overflow", "#BR bound", "#UD invalid opcode", "#NM no FPU", \
    "#DF double fault", "vector 9", "#TS invalid TSS", "#NP segment not present", "#SS stack fault", "#GP general protection", \
    "#PF page fault", "vector 15", "#MF x87", "#AC alignment", "#MC machine check", "#XM SIMD", "#VE virtualization", "#CP control protection", \
    "vector 22", "vector 23", "vector 24", "vector 25", "vector 26", "vector 27", "vector 28", "#VC VMM communication", "#SX security", "vector 31"
align 8
exception_names:
%assign n 0
%rep 32
    dq name_ %+ n
  %assign n n + 1
%endrep
