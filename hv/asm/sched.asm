; Each CPU's scheduler loop. No Wasm frame is live while a guest runs: the loop calls into core and machines and enters guests,
; and is called by nobody. What to run, for how long, and who wakes is decided here, per CPU, without entering core.
%include "hv.inc"

global sched_loop, run_look, run_verdict, run_trapped, core_deadline, flush_deadline, idle_tsc, sched_init
extern core_pending, core_poll, guest_table, guest_high, guest_end, machine_call, Z_machineZ_event
extern guest_ticks, vendor_run, vendor_flush, vendor_set_tsc_offset, context_load, timer_arm, tsc_khz

SLICE_MS        equ 5

section .bss
alignb 8
core_deadline:  resq 1                          ; TSC when core wants to be polled, -1: none
flush_deadline: resq 1                          ; TSC when console bytes have waited long enough, -1: none
idle_tsc:       resq 1                          ; time halted
slice_tsc:      resq 1
last_slot:      resd 1                          ; who ran last
background:     resd 1                          ; core has work for an idle CPU

section .text

sched_init:
    imul rax, [tsc_khz], SLICE_MS
    mov [slice_tsc], rax
    mov qword [core_deadline], -1
    mov qword [flush_deadline], -1
    mov dword [background], 1
    mov dword [core_pending], 1
    ret

sched_loop:
    cli
    cmp dword [core_pending], 0
    jne .core
    RDTSC64
    cmp rax, [core_deadline]
    jae .core
    cmp rax, [flush_deadline]
    jae .core
    mov r13, rax                                ; now
    ; a slice that core came into goes on
    mov r12, [gs:pc.guest]
    test r12, r12
    jz .pick
    cmp rax, [gs:pc.slice_end]
    jae .pick
    cmp dword [r12 + guest.state], RunState_Runnable
    jne .pick
    cmp dword [r12 + guest.paused], 0
    je .run
.pick:
    call pick
    jc .idle
    mov [gs:pc.guest], r12
    mov rax, [r12 + guest.region]
    mov [gs:pc.region], rax
    mov rcx, r13
    add rcx, [slice_tsc]
    mov [gs:pc.slice_end], rcx
.run:
    mov [gs:pc.entered], r13
    mov dword [gs:pc.vmcs_accesses], 0
    mov dword [gs:pc.budget], 5
    call [vendor_run]
    mov r12, [gs:pc.guest]
    RDTSC64
    sub rax, [gs:pc.entered]
    add [r12 + guest.run_tsc], rax
    mov eax, [gs:pc.vmcs_accesses]
    add [r12 + guest.vmcs_accesses], rax
    jmp sched_loop
.core:
    xor edi, edi
.poll:
    mov dword [core_pending], 0
    RDTSC64
    mov rcx, -1
    cmp rax, [core_deadline]
    jb .not_due
    mov [core_deadline], rcx                    ; core sets its next one
.not_due:
    cmp rax, [flush_deadline]
    jb .not_flush
    mov [flush_deadline], rcx
.not_flush:
    sti
    call core_poll
    cli
    mov [background], eax
    jmp sched_loop
.idle:                                          ; RBX: the earliest deadline of a halted guest
    mov edi, 1
    cmp dword [background], 0
    jne .poll
    mov rdi, rbx
    cmp rdi, [core_deadline]
    cmova rdi, [core_deadline]
    cmp rdi, [flush_deadline]
    cmova rdi, [flush_deadline]
    call timer_arm
    RDTSC64
    mov rbx, rax
    sti
    hlt
    cli
    RDTSC64
    sub rax, rbx
    add [idle_tsc], rax
    jmp sched_loop

; Round robin over the slots, from the one after last_slot. A halted guest is awake when it has events or its deadline has passed.
; In: R13 now  Out: R12 guest block; or CF=1 and RBX the earliest deadline  Clobbers: RAX RCX RDX
pick:
    mov rbx, -1
    mov ecx, [guest_high]
    test ecx, ecx
    jz .none
    mov edx, [last_slot]
.next:
    inc edx
    cmp edx, [guest_high]
    jb .slot
    xor edx, edx
.slot:
    mov r12, [guest_table + rdx * 8]
    test r12, r12
    jz .skip
    cmp dword [r12 + guest.paused], 0
    jne .skip
    mov eax, [r12 + guest.state]
    cmp eax, RunState_Runnable
    je .found
    cmp eax, RunState_Halted
    jne .skip
    cmp dword [r12 + guest.events], 0
    jne .wake
    mov rax, [r12 + guest.deadline]
    cmp rax, r13
    jbe .wake
    cmp rax, rbx
    cmovb rbx, rax
.skip:
    loop .next
.none:
    stc
    ret
.wake:
    mov dword [r12 + guest.state], RunState_Runnable
    mov rax, r13
    sub rax, [r12 + guest.halt_since]
    add [r12 + guest.halt_tsc], rax
.found:
    mov [last_slot], edx
    clc
    ret

; Before an entry: what has come up meanwhile. In: R12 guest block, interrupts off
; Out: CF=0 enter; CF=1 leave the guest  Clobbers: all but R12
run_look:
    mov dword [gs:pc.attention], 0
    cmp dword [core_pending], 0
    jne .leave
    cmp dword [r12 + guest.state], RunState_Runnable
    jne .leave
    RDTSC64
    cmp rax, [gs:pc.slice_end]
    jae .leave
    cmp rax, [core_deadline]
    jae .leave
    cmp rax, [flush_deadline]
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
    or dword [r12 + guest.events], EventBit_Timer
    jmp .events
.started:
    cmp rax, [r12 + guest.deadline]
    jb .not_due
    mov qword [r12 + guest.deadline], -1
    or dword [r12 + guest.events], EventBit_Timer
.not_due:
    cmp dword [r12 + guest.events], 0
    je .enter
.events:
    xor esi, esi
    xchg esi, [r12 + guest.events]
    mov rdi, r12
    mov rax, Z_machineZ_event
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
    call [vendor_flush]
.flushed:
    mov rdi, [gs:pc.slice_end]
    cmp rdi, [r12 + guest.deadline]
    cmova rdi, [r12 + guest.deadline]
    cmp rdi, [core_deadline]
    cmova rdi, [core_deadline]
    cmp rdi, [flush_deadline]
    cmova rdi, [flush_deadline]
    call timer_arm
    clc
    ret

; What the machine decided, when it is not to resume. In: R12 guest block, EAX Verdict  Out: CF=1 leave the guest
; Clobbers: RAX RCX RDX
run_verdict:
    cmp eax, Verdict_Halt
    je .halt
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
.halt:
    cmp dword [r12 + guest.events], 0
    jne .go_on
    mov dword [r12 + guest.state], RunState_Halted
    RDTSC64
    mov [r12 + guest.halt_since], rax
    stc
    ret
.go_on:
    clc
    ret

; A machine call of the run loop trapped. In: R12 guest block, EAX EndReason, RDX value
run_trapped:
    jmp guest_end
