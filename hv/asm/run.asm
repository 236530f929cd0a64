; What is seen to before a guest is entered, and what its machine decided after an exit. Called by the vendors' run loops (vmx.asm, svm.asm), in
; a slice that pick.asm gave.
%include "hv.inc"

global run_look, run_verdict, run_trapped
extern arm, context_load, core_wanted, debug_stopped, guest_end, guest_ticks, machine_call, vendor_flush, vendor_set_tsc_offset

section .text

; Before an entry: what has come up meanwhile. In: R12 guest block, interrupts off
; Out: CF=0 enter; CF=1 leave the guest  Clobbers: all but R12
run_look:
    mov dword [gs:pc.attention], 0
    call core_wanted
    jc .leave
    cmp dword [r12 + guest.held], 0
    jne .leave
    cmp dword [r12 + guest.state], RunState_Runnable
    jne .leave
    RDTSC64
    cmp rax, [gs:pc.slice_end]
    jae .leave
    cmp qword [r12 + guest.tsc0], 0
    jne .started
    ; the first entry: guest time begins, or goes on
    mov [r12 + guest.first_entry], rax
    push rax
    call guest_ticks
    mov rdx, [r12 + guest.tsc_start]
    sub rdx, rax
    mov [r12 + guest.tsc_offset], rdx
    pop rax
    sub rax, [r12 + guest.clock_start]
    mov [r12 + guest.tsc0], rax
    call [vendor_set_tsc_offset]
    lock or dword [r12 + guest.events], EventBit_Timer
    jmp .events
.started:
    cmp rax, [r12 + guest.deadline]
    jb .not_due
    mov qword [r12 + guest.deadline], -1
    lock or dword [r12 + guest.events], EventBit_Timer
.not_due:
    cmp dword [r12 + guest.events], 0
    je .enter
.events:
    xor esi, esi
    xchg esi, [r12 + guest.events]
    mov rdi, r12
    mov rax, [r12 + guest.module]
    mov rax, [rax + ModuleHeader_Event]
    mov ebx, 5
    call machine_call
    jc .trapped
    test eax, eax
    jz run_look
    call run_verdict
    jnc run_look
.leave:
    stc
    ret
.trapped:
    call guest_end
    stc
    ret
.enter:
    call context_load
    cmp dword [r12 + guest.flush], 0
    je .flushed
    mov dword [r12 + guest.flush], 0
    inc qword [r12 + guest.flushes]
    call [vendor_flush]
    cmp qword [r12 + guest.first_entry], 0
    jne .flushed
    RDTSC64
    mov [r12 + guest.first_entry], rax          ; a copy's, whose time had begun before it
.flushed:
    mov rdi, [gs:pc.slice_end]
    cmp rdi, [r12 + guest.deadline]
    cmova rdi, [r12 + guest.deadline]
    call arm
    clc
    ret

; What the machine decided, when it is not to resume. In: R12 guest block, EAX Verdict  Out: CF=1 leave the guest
; Clobbers: RAX RCX RDX
run_verdict:
    cmp eax, Verdict_Halt
    je .halt
    cmp eax, Verdict_Break
    je .break
    mov edx, eax
    mov eax, [r12 + guest.reason]
    cmp edx, Verdict_Stop
    jne .unknown
    mov rdx, [r12 + guest.value]
    test eax, eax
    jnz .end
    xor edx, edx
.unknown:
    mov eax, EndReason_UnknownExit
.end:
    call guest_end
    stc
    ret
.break:
    call debug_stopped
    jz .unknown
    ret
.halt:
    cmp dword [r12 + guest.events], 0
    jne .go_on
    mov dword [r12 + guest.state], RunState_Halted
    stc
    ret
.go_on:
    clc
    ret

; A machine call of the run loop trapped. In: R12 guest block, EAX EndReason, RDX value
run_trapped:
    jmp guest_end
