; Each CPU's scheduler loop. No Wasm frame is live while a guest runs: the loop calls into core and machines and enters guests,
; and is called by nobody. What to run, for how long, and who wakes is decided here, per CPU, without entering core; residence.asm says
; which CPU has which guest. Core runs on whatever CPU notices that it has work; who finds it at work elsewhere goes on.
%include "hv.inc"

global sched_loop, sched_lock, idle_cpus, run_look, run_verdict, run_trapped, core_deadline, flush_deadline, sched_init
extern core_pending, core_poll, core_unhold, guest_table, guest_high, guest_end, guest_leave, kick_idle, machine_call
extern account, account_state, debug_stopped, guest_ticks, vendor_run, vendor_flush, vendor_vcpu_arrive, vendor_set_tsc_offset, context_load, timer_arm, tsc_khz

SLICE_MS        equ 5
LAG_SLICES      equ 100                         ; how far a guest may be behind those that wait where it runs: it would have the CPU alone until then

section .bss
alignb 8
core_deadline:  resq 1                          ; TSC when core wants to be polled, -1: none
flush_deadline: resq 1                          ; TSC when console bytes have waited long enough, -1: none
slice_tsc:      resq 1
sched_floor:    resq 1                          ; the highest that the least virtual run time was, on any CPU
background:     resd 1                          ; core has work for an idle CPU
core_lock:      resd 1                          ; only ever tried
sched_lock:     resd 1                          ; which CPU has which guest, who idles; interrupts are off, and nobody waits in it
idle_cpus:      resd 1                          ; a bit each

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
    call core_wanted
    jnc .guests
    xor edi, edi
    call core_try
    jnc sched_loop
.guests:
    RDTSC64
    mov r13, rax                                ; now
    ; a slice that core came into goes on
    mov r12, [gs:pc.guest]
    test r12, r12
    jz .pick
    cmp rax, [gs:pc.slice_end]
    jae .pick
    cmp dword [r12 + guest.state], RunState_Runnable
    jne .pick
    mov eax, [r12 + guest.paused]
    or eax, [r12 + guest.held]
    jz .run
.pick:
    call pick
    jc .idle
.run:
    mov [gs:pc.entered], r13
    mov rax, r13
    mov ecx, TIME_RUNNING
    call account
    mov dword [gs:pc.vmcs_accesses], 0
    mov dword [gs:pc.budget], 5
    call [vendor_run]
    mov r12, [gs:pc.guest]
    RDTSC64
    mov rcx, rax
    sub rcx, [gs:pc.entered]
    add [r12 + guest.vrun], rcx
    add [gs:pc.run_tsc], rcx
    call account_state
    mov eax, [gs:pc.vmcs_accesses]
    add [r12 + guest.vmcs_accesses], rax
    jmp sched_loop
.idle:                                          ; RBX: the earliest deadline of a halted guest
    cmp dword [background], 0
    je .sleep
    mov edi, 1
    call core_try
    jnc sched_loop
.sleep:
    mov rdi, rbx
    call arm
    RDTSC64
    mov rbx, rax
    mov [gs:pc.halted_at], rax
    sti
    hlt
    cli
    RDTSC64
    sub rax, rbx
    inc dword [gs:pc.idle_turn]                 ; core may look from another CPU (host.asm, cpu_idle_tsc)
    add [gs:pc.idle_tsc], rax
    mov qword [gs:pc.halted_at], 0
    inc dword [gs:pc.idle_turn]
    mov eax, [gs:pc.index]
    lock btr [idle_cpus], eax
    jmp sched_loop

; Whether core has something to do, and nobody is at it: who is looks again when it is done. Out: CF=1 yes  Clobbers: RAX RDX
core_wanted:
    cmp dword [core_lock], 0                    ; after the one that set core_pending, by a locked instruction
    jne .no
    cmp dword [core_pending], 0
    jne .yes
    RDTSC64
    cmp rax, [core_deadline]
    jae .yes
    cmp rax, [flush_deadline]
    jae .yes
.no:
    clc
    ret
.yes:
    stc
    ret

; Lets core do a piece of its work, if no other CPU is at it. In: EDI 1 when this CPU idles, interrupts off  Out: CF=1 another CPU is
; Clobbers: caller-saved
core_try:
    lock bts dword [core_lock], 0
    jc .elsewhere
    mov eax, [gs:pc.index]
    lock btr [idle_cpus], eax                   ; nobody waits for it
    xor eax, eax
    xchg eax, [core_pending]                    ; before core looks: what comes up from now on sets it again
    RDTSC64
    mov rcx, -1
    cmp rax, [core_deadline]
    jb .not_due
    mov [core_deadline], rcx                    ; core sets its next one
.not_due:
    cmp rax, [flush_deadline]
    jb .not_flush
    xchg [flush_deadline], rcx
.not_flush:
    push rdi
    sti
    call core_poll
    cli
    mov [background], eax
    call core_unhold
    xor eax, eax
    xchg eax, [core_lock]                       ; and only then does the loop look again for what is wanted
    pop rax
    test eax, eax
    jnz .done
    cmp dword [background], 0
    je .done
    or ecx, -1
    call kick_idle                              ; the rest is for one that has nothing else to do
.done:
    clc
.elsewhere:
    ret

; Arms the timer for the earliest of RDI and core's deadlines. While core is at work these are for the CPU that it works on.
; In: RDI TSC deadline  Clobbers: RAX RDX RDI R9
arm:
    cmp dword [core_lock], 0
    jne timer_arm
    cmp rdi, [core_deadline]
    cmova rdi, [core_deadline]
    cmp rdi, [flush_deadline]
    cmova rdi, [flush_deadline]
    jmp timer_arm

; Who is to run here: of the guests that may and that no other CPU has, the one with the least virtual run time. The one that this CPU had is
; let go for it. A halted guest is awake when it has events or its deadline has passed; it begins where the others are, so
; that nobody saves up time, and nobody who has run long waits for it. Guests that did not share a CPU, and meet, may be far apart: the one that
; is behind catches up by LAG_SLICES and no more. The turn ends with the slice, or when a halted guest is due that this CPU keeps: no
; CPU idles that would wake it, and no other one keeps it already.
; In: R13 now, interrupts off  Out: CF=0 and R12 guest block, resident here; or CF=1 and RBX the earliest deadline of those that halt, and this
; CPU is among the idle ones  Clobbers: all but R13
pick:
    SPIN_LOCK sched_lock
    mov r12, [gs:pc.guest]
    test r12, r12
    jz .scan
    cmp dword [r12 + guest.held], 0
    je .scan
    call guest_leave                            ; core waits for it
.scan:
    mov ebp, [gs:pc.index]
    mov rax, r13
    add rax, [slice_tsc]
    mov [gs:pc.slice_end], rax
    mov rbx, -1
    mov rsi, rbx                                ; where one that wakes begins, once it is known
    mov r9, rbx                                 ; least virtual run time of those that could be taken
    mov r10, rbx                                ; and of all that run or could
    xor r8d, r8d                                ; whose it is
    xor edi, edi                                ; the greatest of those that could be taken
    xor r11d, r11d                              ; the CPUs of those that are passed over
    xor edx, edx
.slot:
    cmp edx, [guest_high]
    jae .scanned
    mov r12, [guest_table + rdx * 8]
    inc edx
    test r12, r12
    jz .slot
    mov eax, [r12 + guest.paused]
    or eax, [r12 + guest.held]
    jnz .slot
    bt [r12 + guest.affinity], ebp
    jnc .slot
    mov ecx, [r12 + guest.cpu]
    mov eax, [r12 + guest.state]
    cmp eax, RunState_Runnable
    je .runnable
    cmp eax, RunState_Halted
    jne .slot
    test ecx, ecx
    js .halted
    cmp ecx, ebp
    jne .slot
.halted:
    cmp dword [r12 + guest.events], 0
    jne .wake
    mov rax, [r12 + guest.deadline]
    cmp rax, r13
    jbe .wake
    cmp rax, rbx
    cmovb rbx, rax
    cmp rax, -1
    je .slot
    mov ecx, [r12 + guest.affinity]
    and ecx, [idle_cpus]                        ; their timers count to it
    mov ecx, 0
    jnz .kept
    bts ecx, ebp
    cmp dword [r12 + guest.keeper], 0
    je .keep
    cmp [r12 + guest.keeper], ecx
    jne .passed_over
.keep:
    cmp rax, [gs:pc.slice_end]
    jae .kept
    mov [gs:pc.slice_end], rax
.kept:
    mov [r12 + guest.keeper], ecx
    jmp .passed_over
.wake:
    mov dword [r12 + guest.state], RunState_Runnable
    push rcx
    mov dword [r12 + guest.keeper], 0
    mov rax, r13
    mov ecx, TIME_WAITING
    call account
    pop rcx
    mov dword [r12 + guest.woken], 1
.runnable:
    mov rax, [r12 + guest.vrun]
    cmp dword [r12 + guest.woken], 0
    je .fair
    call floor
    mov dword [r12 + guest.woken], 0
    cmp rax, rsi
    cmovb rax, rsi
    mov [r12 + guest.vrun], rax
.fair:
    cmp rax, r10
    cmovb r10, rax
    test ecx, ecx
    js .candidate
    cmp ecx, ebp
    jne .slot
.candidate:
    cmp rdi, rax
    cmovb rdi, rax
    cmp rax, r9
    jae .passed_over
    mov r9, rax
    xchg r8, r12
    test r12, r12
    jz .slot
.passed_over:
    or r11d, [r12 + guest.affinity]
    jmp .slot
.scanned:
    test r8, r8
    jz .none
    cmp r10, [sched_floor]
    jbe .old_floor
    mov [sched_floor], r10
.old_floor:
    imul rax, [slice_tsc], LAG_SLICES
    sub rdi, rax
    jb .near
    cmp rdi, r9
    jbe .near
    mov [r8 + guest.vrun], rdi
.near:
    ; a CPU that idles sees, as soon as this lock is free, to who is passed over, and to core's background work, which this one leaves
    xor ecx, ecx
    mov r12, [gs:pc.guest]
    cmp r12, r8
    cmovne ecx, r11d
    cmp dword [background], 0
    je .told
    or ecx, -1
.told:
    call kick_idle
    cmp r12, r8
    je .same
    test r12, r12
    jz .take
    call guest_leave
.take:
    mov r12, r8
    mov [r12 + guest.cpu], ebp
    mov [gs:pc.guest], r12
    mov rax, [r12 + guest.region]
    mov [gs:pc.region], rax
    btr [r12 + guest.host_stale], ebp
    jnc .view
    mov rax, cr3
    mov cr3, rax
.view:
    cmp ebp, [r12 + guest.last_cpu]
    je .same
    mov [r12 + guest.last_cpu], ebp
    mov dword [r12 + guest.flush], 1            ; what this CPU may remember of it, or of another in its place
    call [vendor_vcpu_arrive]
.same:
    SPIN_UNLOCK sched_lock
    clc
    ret
.none:
    lock bts [idle_cpus], ebp
    SPIN_UNLOCK sched_lock
    stc
    ret

; Where a guest that wakes begins: at the least virtual run time of those that run, here or elsewhere, or wait for this CPU; without any, where
; the last ones were. A tick before them: it comes first. In: RSI -1, or what this found before; EBP CPU, under sched_lock
; Out: RSI  Clobbers: R14 R15
floor:
    cmp rsi, -1
    jne .done
    xor r14d, r14d
.slot:
    cmp r14d, [guest_high]
    jae .scanned
    mov r15, [guest_table + r14 * 8]
    inc r14d
    test r15, r15
    jz .slot
    cmp dword [r15 + guest.state], RunState_Runnable
    jne .slot
    bt [r15 + guest.affinity], ebp
    jnc .slot
    cmp dword [r15 + guest.woken], 0
    jne .slot
    cmp dword [r15 + guest.paused], 0
    jne .slot
    cmp dword [r15 + guest.held], 0
    jne .slot
    cmp rsi, [r15 + guest.vrun]
    cmova rsi, [r15 + guest.vrun]
    jmp .slot
.scanned:
    cmp rsi, -1
    cmove rsi, [sched_floor]
    sub rsi, 1
    adc rsi, 0
.done:
    ret

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
