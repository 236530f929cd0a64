; Where a guest's time goes: it runs, is halted, waits for a CPU, or is paused; each moment since its start is counted once. The scheduler and
; core tell of a change (account), on whatever CPU the guest is; who asks (guest_time) may be on another. Its exits take no part in this.
%include "hv.inc"

global account, account_state, account_start, guest_time

section .text

; From now on a guest's time counts by its state, as of one that does not run. In: R12 guest block, RAX TSC  Clobbers: RAX RCX
account_state:
    mov ecx, TIME_PAUSED
    cmp dword [r12 + guest.state], RunState_Ended
    je .by_state
    cmp dword [r12 + guest.paused], 0
    jne account
.by_state:
    mov ecx, [r12 + guest.state]
    movzx ecx, byte [time_of_state + rcx]
    cmp ecx, TIME_NONE
    jne account
    mov [r12 + guest.ended_at], rax
    ; fall through

; From now on a guest's time counts as another one. In: R12 guest block, RAX TSC, ECX TIME_...  Clobbers: RAX RCX
account:
    push rdx
    inc dword [r12 + guest.turn]
    mov edx, [r12 + guest.time]
    mov [r12 + guest.time], ecx
    mov rcx, [r12 + guest.since]
    mov [r12 + guest.since], rax
    sub rax, rcx
    jb .ahead
    add [r12 + guest.times + rdx * 8], rax
.done:
    inc dword [r12 + guest.turn]
    pop rdx
    ret
.ahead:                                         ; the TSC of the CPU before is a little ahead of this one's
    mov [r12 + guest.since], rcx
    jmp .done

; A guest's time begins. In: R12 guest block, held by core  Clobbers: RAX RCX RDX
account_start:
    RDTSC64
    mov [r12 + guest.started_at], rax
    mov dword [r12 + guest.time], TIME_NONE
    jmp account_state

; What was counted until now. In: R12 guest block, ECX TIME_...  Out: RAX TSC ticks  Clobbers: RDX R8
guest_time:
    mov r8d, [r12 + guest.turn]
    xor eax, eax
    cmp [r12 + guest.time], ecx
    jne .past
    RDTSC64
    sub rax, [r12 + guest.since]
    jae .past
    xor eax, eax
.past:
    add rax, [r12 + guest.times + rcx * 8]
    cmp r8d, [r12 + guest.turn]                 ; another CPU changes it just now
    jne guest_time
    test r8b, 1
    jnz guest_time
    ret

section .rodata
time_of_state:                                  ; by RunState
    db TIME_NONE, TIME_NONE, TIME_WAITING, TIME_HALTED, TIME_PAUSED, TIME_NONE
