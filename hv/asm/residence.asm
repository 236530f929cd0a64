; Which CPU has which guest. A guest is resident on a CPU (guest.cpu) from when that CPU takes it until that CPU lets it go: its VMCS is
; current there, its FPU is in that CPU, its machine runs there and nowhere else. A CPU has one at most (pc.guest). Core, which works on a guest's vCPU
; and machine from whatever CPU it is on, holds the guest meanwhile: it is called back from where it is resident, and nobody takes it.
; All of this is under sched_lock. pick.asm takes guests; host_guests.asm holds them.
%include "hv.inc"

global guest_leave, guest_wake, guest_drop, core_hold, core_unhold, core_held, kick_idle
extern sched_lock, idle_cpus, cpu_kick, cpu_pages, context_drop, vendor_vcpu_leave

section .bss
alignb 8
core_held:      resq 1                          ; the guest block that core holds, or 0

section .text

; This CPU forgets a guest's state: it is in its own pages afterwards. In: R12 guest block, interrupts off  Clobbers: RAX RCX RDX RSI R10
guest_drop:
    cmp r12, [gs:pc.loaded]
    jne .not_loaded
    call context_drop
.not_loaded:
    cmp qword [r12 + guest.vcb], 0
    jne .vcpu
    ret
.vcpu:
    jmp [vendor_vcpu_leave]

; This CPU lets the guest go that it has. In: R12 guest block, under sched_lock  Clobbers: RAX RCX RDX RSI R10
guest_leave:
    call guest_drop
    mov qword [gs:pc.guest], 0
    mov dword [r12 + guest.cpu], -1             ; after all else: another CPU may take it from now on
    ret

; A guest that nobody has: an idle CPU shall look at it, if it has anything to do now or later. Where none idles, the turn ends of the guest that
; has run most: pick finds out whether it goes on. In: R12 guest block, under sched_lock, core's lock held  Clobbers: RAX RCX RDX RSI R9 R10
guest_offer:
    mov eax, [r12 + guest.state]
    sub eax, RunState_Runnable
    cmp eax, RunState_Halted - RunState_Runnable
    ja kick_idle.none
    mov dword [r12 + guest.keeper], 0           ; who kept it may not have seen it of late: whoever looks now does
    mov ecx, [r12 + guest.affinity]
    call kick_idle
    jc kick_idle.none
    mov ecx, [r12 + guest.affinity]
    xor r9d, r9d
.cpu:
    bsf eax, ecx
    jz .longest
    btr ecx, eax
    shl eax, CPU_SHIFT
    add eax, cpu_pages                          ; below 4 GiB
    mov rdx, [rax + pc.guest]
    test rdx, rdx
    jz kick_idle.none                           ; it is about to look, or looks when core is done
    cmp dword [rdx + guest.state], RunState_Runnable
    jne kick_idle.none
    mov rdx, [rdx + guest.vrun]
    cmp rdx, r9
    jb .cpu
    mov r9, rdx
    mov esi, eax
    jmp .cpu
.longest:
    mov qword [rsi + pc.slice_end], 0
    mov eax, [rsi + pc.index]
    cmp eax, [gs:pc.index]
    jne cpu_kick
    ret

; In: ECX CPUs of which one that idles shall look for work, interrupts off  Out: CF=1 one does  Clobbers: RAX RCX RDX R9
kick_idle:
    and ecx, [idle_cpus]
    jz .none                                    ; CF is clear
    bsf eax, ecx
    lock btr [idle_cpus], eax                   ; the next one goes to another
    jmp cpu_kick
.none:
    ret

; A guest was given an event: the CPU that has it shall look, or one that may take it. In: R12 guest block, core's lock held
; Clobbers: RAX RCX RDX RSI R9 R10
guest_wake:
    pushfq
    cli
    SPIN_LOCK sched_lock                        ; a CPU that goes to sleep has seen the event, or is seen to idle
    mov eax, [r12 + guest.cpu]
    test eax, eax
    js .nowhere
    cmp eax, [gs:pc.index]
    je .done                                    ; it looks as soon as core is done
    call cpu_kick
    jmp .done
.nowhere:
    call guest_offer
.done:
    SPIN_UNLOCK sched_lock
    popfq
    ret

; Core gets a guest for itself, until it holds another one or is done with its piece of work. A machine that the other CPU is in is waited
; for: its watchdog sees to it that this ends. In: R12 guest block, interrupts on  Clobbers: RAX
core_hold:
    cmp r12, [core_held]
    je .mine
    push rcx
    push rdx
    push rsi
    push r9
    push r10
    call core_unhold
    mov [core_held], r12
    cli
    SPIN_LOCK sched_lock
    mov dword [r12 + guest.held], 1
    mov eax, [r12 + guest.cpu]
    test eax, eax
    js .have
    cmp eax, [gs:pc.index]
    jne .elsewhere
    call guest_leave
    jmp .have
.elsewhere:
    SPIN_UNLOCK sched_lock
    call cpu_kick
    sti
.wait:
    pause
    cmp dword [r12 + guest.cpu], 0
    jge .wait
    jmp .done
.have:
    SPIN_UNLOCK sched_lock
    sti
.done:
    mov eax, [gs:pc.index]
    btr [r12 + guest.host_stale], eax
    jnc .view
    mov rax, cr3
    mov cr3, rax
.view:
    pop r10
    pop r9
    pop rsi
    pop rdx
    pop rcx
.mine:
    ret

; Core is done with the guest that it held, if any. Clobbers: RAX RCX RDX RSI R9 R10
core_unhold:
    cmp qword [core_held], 0
    je .none
    push r12
    xor r12d, r12d
    xchg r12, [core_held]
    pushfq
    cli
    call guest_drop
    SPIN_LOCK sched_lock
    mov dword [r12 + guest.held], 0
    cmp dword [r12 + guest.paused], 0
    jne .paused
    call guest_offer
.paused:
    SPIN_UNLOCK sched_lock
    popfq
    pop r12
.none:
    ret
