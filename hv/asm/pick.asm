; Which guest a CPU runs next, for how long, and who wakes. Called by sched_loop (sched.asm), on each CPU for itself.
%include "hv.inc"

global pick, sched_lock, idle_cpus, slice_tsc
extern account, background, guest_high, guest_leave, guest_table, kick_idle, vendor_vcpu_arrive

LEAST_SHIFT     equ 12                          ; the least turn: for each slot 1/4096 of a slice, more than it takes to look at it
LAG_SLICES      equ 100                         ; how far a guest may be behind those that wait where it runs: it would have the CPU alone until then

section .bss
alignb 8
slice_tsc:      resq 1
sched_floor:    resq 1                          ; the highest that the least virtual run time was, on any CPU
sched_lock:     resd 1                          ; which CPU has which guest, who idles; interrupts are off, and nobody waits in it
idle_cpus:      resd 1                          ; a bit each

section .text

; Who is to run here: of the guests that may and that no other CPU has, the one with the least virtual run time. The one that this CPU had is
; let go for it. A halted guest is awake when it has events or its deadline has passed; it begins where the others are, so
; that nobody saves up time, and nobody who has run long waits for it. Guests that did not share a CPU, and meet, may be far apart: the one that
; is behind catches up by LAG_SLICES and no more. The turn ends with the slice, or when a halted guest is due that this CPU keeps: no
; CPU idles that would wake it, and no other one keeps it already. With many guests it is longer than this choice.
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
    ; of many guests that halt one is always due, and a turn would be shorter than the choice of whose it is
    mov eax, [guest_high]
    imul rax, [slice_tsc]
    shr rax, LEAST_SHIFT
    add rax, r13
    cmp rax, [gs:pc.slice_end]
    jbe .long_enough
    mov [gs:pc.slice_end], rax
.long_enough:
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
