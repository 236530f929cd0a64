; Each CPU's scheduler loop. No Wasm frame is live while a guest runs: the loop calls into core and machines and enters guests,
; and is called by nobody. pick.asm says which guest runs, run.asm what is seen to before it is entered, all per CPU and without entering core;
; residence.asm says which CPU has which guest. Core runs on whatever CPU notices that it has work; who finds it at work elsewhere goes on.
%include "hv.inc"

global sched_init, sched_loop, core_wanted, core_deadline, flush_deadline, background, arm
extern account, account_state, core_pending, core_poll, core_unhold, idle_cpus, kick_idle, pick, slice_tsc, timer_arm, tsc_khz, vendor_run

SLICE_MS        equ 5

section .bss
alignb 8
core_deadline:  resq 1                          ; TSC when core wants to be polled, -1: none
flush_deadline: resq 1                          ; TSC when console bytes have waited long enough, -1: none
background:     resd 1                          ; core has work for an idle CPU
core_lock:      resd 1                          ; only ever tried

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
