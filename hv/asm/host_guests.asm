; Core's imports about guests: their life, their state. guests.asm does the work; slots and states are checked here. What touches a guest's
; vCPU or machine holds the guest first (residence.asm): it then stands, until core is done with its piece of work.
%include "hv.inc"
%include "host.inc"

extern core_hold, guest_wake, account_start, account_state, guest_time, exits_total
extern ns_of_tsc, guest_table, guest_high, guest_new, guest_pool, guest_ram, guest_init, guest_boot, guest_clone, guest_free, guest_shed, guest_end, frame_table, guest_stood, guest_ticks, ticks_of_ns, field_read, vendor_state

section .text

IMPORT guestNew                                 ; ESI slot, EDX frame, ECX affinity
    call guest_of
    jnc refused
    cmp esi, GuestLimit_Slots
    jae refused
    mov edi, esi
    mov esi, edx
    mov edx, ecx
    jmp guest_new

IMPORT guestPool                                ; ESI slot, EDX frame
    GUEST refused
    mov esi, edx
    call guest_pool
    DONE

IMPORT guestRam                                 ; ESI slot, EDX block, RCX address
    GUEST refused
    mov esi, edx
    mov rdx, rcx
    call guest_ram
    DONE

IMPORT guestInit                                ; ESI slot, RDX wall seconds, ECX CpuModel, R8D kilohertz
    HOLD refused
    call guest_init
    DONE

; A copy of another guest, in a slot whose pool was filled. ESI slot, EDX source, ECX 1: paused, R8D entropy (GuestLimit.EntropyBytes)
IMPORT guestClone
    push r12
    push r13
    push rbx
    push rbp
    push r14
    push r15
    mov ebx, ecx
    call guest_of
    jc .refused
    mov rbp, rax
    mov esi, edx
    call guest_of
    jc .refused
    cmp rax, rbp
    je .refused
    mov ecx, r8d
    mov edx, GuestLimit_EntropyBytes
    mov r12, rax
    call core_range
    jc .refused
    call core_hold
    mov r13, r12
    mov r12, rbp
    mov edx, ebx
    call guest_clone
.done:
    pop r15
    pop r14
    pop rbp
    pop rbx
    pop r13
    pop r12
    ret
.refused:
    xor eax, eax
    jmp .done

IMPORT guestBoot                                ; ESI slot, EDX kind, RCX block, R8D bytes
    HOLD .none
    mov esi, edx
    mov rdx, rcx
    mov ecx, r8d
    call guest_boot
    DONE
.none:
    mov eax, Status_NoSuchGuest
    ret

IMPORT guestRun                                 ; ESI slot
    HOLD refused
    xor eax, eax
    cmp dword [r12 + guest.state], RunState_Created
    jne .done
    cmp qword [r12 + guest.instance_ptr], 0
    je .done
    mov dword [r12 + guest.state], RunState_Runnable
    mov dword [r12 + guest.woken], 1
    mov dword [r12 + guest.changed], 1
    call account_start
    mov eax, 1
.done:
    DONE

; ESI slot, EDX 0: its time stood still, else it has passed; RCX then: by so many nanoseconds, before the guest's first entry
IMPORT guestResume
    HOLD refused
    xor eax, eax
    cmp dword [r12 + guest.state], RunState_Ended
    je .done
    cmp dword [r12 + guest.paused], 0
    je .done
    test edx, edx
    jnz .passed
    RDTSC64
    sub rax, [r12 + guest.paused_at]
    call guest_stood
    jmp .goes
.passed:
    cmp qword [r12 + guest.tsc0], 0
    jne .goes
    mov rax, rcx
    call ticks_of_ns
    jc .refused
    mov rcx, rax
    add rcx, [r12 + guest.clock_start]
    js .refused
    mov [r12 + guest.clock_start], rcx
    call guest_ticks
    add [r12 + guest.tsc_start], rax
.goes:
    mov dword [r12 + guest.paused], 0
    mov dword [r12 + guest.woken], 1
    mov dword [r12 + guest.changed], 1
    RDTSC64
    call account_state
    mov eax, 1
.done:
    DONE
.refused:
    xor eax, eax
    DONE

IMPORT guestPause                               ; ESI slot
    HOLD refused
    xor eax, eax
    cmp dword [r12 + guest.paused], 0
    jne .done
    mov ecx, [r12 + guest.state]
    sub ecx, RunState_Runnable
    cmp ecx, RunState_Halted - RunState_Runnable
    ja .done
    mov dword [r12 + guest.paused], 1
    RDTSC64
    mov [r12 + guest.paused_at], rax
    call account_state
    mov dword [r12 + guest.changed], 1
    mov eax, 1
.done:
    DONE

IMPORT guestKill                                ; ESI slot
    HOLD refused
    xor eax, eax
    cmp dword [r12 + guest.state], RunState_Ended
    je .done
    mov eax, EndReason_Killed
    xor edx, edx
    call guest_end
    RDTSC64
    call account_state
    mov eax, 1
.done:
    DONE

IMPORT guestFree                                ; ESI slot
    HOLD refused
    xor eax, eax
    mov ecx, [r12 + guest.state]
    cmp ecx, RunState_Created
    je .free
    cmp ecx, RunState_Ended
    jne .done
.free:
    call guest_free
    mov eax, 1
.done:
    DONE

; It ends, if it has not, for want of memory, and its RAM is for others. ESI slot
IMPORT guestShed
    HOLD refused
    xor eax, eax
    cmp dword [r12 + guest.state], RunState_Created
    je .done
    cmp dword [r12 + guest.state], RunState_Ended
    je .shed
    mov eax, EndReason_OutOfMemory
    xor edx, edx
    call guest_end
    RDTSC64
    call account_state
.shed:
    call guest_shed
    mov eax, 1
.done:
    DONE

IMPORT guestNmi                                 ; ESI slot
    GUEST refused
    xor eax, eax
    mov ecx, [r12 + guest.state]
    sub ecx, RunState_Runnable
    cmp ecx, RunState_Halted - RunState_Runnable
    ja .done
    lock or dword [r12 + guest.events], EventBit_Nmi
    call guest_wake
    mov eax, 1
.done:
    DONE

IMPORT guestState                               ; ESI slot
    GUEST refused                               ; RunState.Empty
    mov eax, [r12 + guest.state]
    cmp dword [r12 + guest.paused], 0
    je .done
    cmp eax, RunState_Ended
    je .done
    mov eax, RunState_Paused
.done:
    DONE

IMPORT guestReason                              ; ESI slot
    GUEST refused
    xor eax, eax
    cmp dword [r12 + guest.state], RunState_Ended
    jne .done
    mov eax, [r12 + guest.reason]
.done:
    DONE

IMPORT guestValue                               ; ESI slot
    GUEST refused
    mov rax, [r12 + guest.value]
    DONE

IMPORT guestRegister                            ; ESI slot, EDX field
    GUEST refused
    xor eax, eax
    cmp qword [r12 + guest.instance_ptr], 0
    je .done
    cmp edx, ExitField_NmiWindow
    ja .done
    call core_hold
    mov rdi, r12
    mov esi, edx
    call field_read
.done:
    DONE

IMPORT guestVcb                                 ; ESI slot, EDX VmxField or SvmField
    GUEST refused
    xor eax, eax
    cmp qword [r12 + guest.instance_ptr], 0
    je .done
    call core_hold
    mov esi, edx
    call [vendor_state]
.done:
    DONE

IMPORT guestStat                                ; ESI slot, EDX GuestStatReply
    GUEST refused
    xor eax, eax
    mov edx, edx
    cmp edx, GuestStatReply_Words
    jae .done
    jmp [stats + rdx * 8]
.exits:
    call exits_total
    jmp .done
.run:
    mov ecx, TIME_RUNNING
    jmp .time
.halt:
    mov ecx, TIME_HALTED
    jmp .time
.wait:
    mov ecx, TIME_WAITING
    jmp .time
.paused:
    mov ecx, TIME_PAUSED
.time:
    call guest_time
    jmp .to_ns
.life:
    mov rax, [r12 + guest.ended_at]
    test rax, rax
    jnz .ended
    RDTSC64
.ended:
    mov rcx, [r12 + guest.started_at]
    sub rax, rcx
    jrcxz .unborn
.to_ns:
    mul qword [ns_of_tsc]
    shrd rax, rdx, 32
    jmp .done
.halt_tsc:
    mov ecx, TIME_HALTED
    call guest_time
    jmp .done
.handling:
    mov rax, [r12 + guest.handling]
    jmp .to_ns
.modes:
    mov eax, [r12 + guest.trace_modes]
    jmp .done
.unborn:
    xor eax, eax
    jmp .done
.vmcs:
    mov rax, [r12 + guest.vmcs_accesses]
    jmp .done
.flushes:
    mov rax, [r12 + guest.flushes]
    jmp .done
.injected:
    mov rax, [r12 + guest.injected]
    jmp .done
.first:
    mov rax, [r12 + guest.first_entry]
    jmp .done
.overhead:
    mov eax, 1
    xor ecx, ecx
    mov rdx, [frame_table]
.frame:                                         ; those of its pool that it does not share
    mov esi, [r12 + guest.pool + rcx * 4]
    cmp dword [rdx + rsi * 8 + 4], 1
    jne .shared
    inc eax
.shared:
    inc ecx
    cmp ecx, [r12 + guest.pool_count]
    jb .frame
    test byte [r12 + guest.trace_modes], TraceMode_Ring
    jz .no_ring
    add eax, TraceRing_Frames
.no_ring:
    shl eax, 12
    mov ecx, eax
    call .directories
    sub ecx, eax
    mov eax, ecx
    jmp .done
.nested:
    call .directories
    mov ecx, [r12 + guest.tables]
    shl ecx, 12
    add eax, ecx
    jmp .done
.generation:
    mov rax, [r12 + guest.generation]
    jmp .done
.copy_faults:
    mov rax, [r12 + guest.copy_faults]
    jmp .done
.copied:
    mov eax, [r12 + guest.copied]
    shl rax, 12
    jmp .done
.faults:
    mov rax, [r12 + guest.exits + ExitReason_NestedFault * 8]
    jmp .done
.done:
    DONE
; EAX = bytes of nested tables, but for tables of 4 KiB pages: two roots and a page directory each started GiB
.directories:
    mov rax, [r12 + guest.ram_bytes]
    add rax, (1 << 30) - 1
    shr rax, 30
    add eax, 2
    shl eax, 12
    ret

IMPORT guestCpus                                ; ESI slot
    GUEST refused
    mov eax, [r12 + guest.affinity]
    shl rax, 32
    mov ecx, [r12 + guest.last_cpu]
    inc ecx
    or rax, rcx
    DONE

IMPORT guestExits                               ; ESI slot, EDX ExitReason
    GUEST refused
    xor eax, eax
    mov edx, edx
    cmp edx, ExitReason_Count
    jae .done
    mov rax, [r12 + guest.exits + rdx * 8]
.done:
    DONE

IMPORT guestChanged                             ; ESI from
.next:
    cmp esi, [guest_high]
    jae .none
    mov eax, esi
    mov rax, [guest_table + rax * 8]
    test rax, rax
    jz .skip
    cmp dword [rax + guest.changed], 0
    jne .found
    mov ecx, [rax + guest.out_head]
    cmp ecx, [rax + guest.out_tail]
    jne .found
    mov ecx, [rax + guest.out_head + 4]
    cmp ecx, [rax + guest.out_tail + 4]
    jne .found
.skip:
    inc esi
    jmp .next
.found:
    xor ecx, ecx
    xchg ecx, [rax + guest.changed]             ; before core looks at what
    mov eax, esi
    ret
.none:
    mov eax, -1
    ret

section .rodata
align 8
stats:
    dq Z_hostZ_guestStat.exits, Z_hostZ_guestStat.run, Z_hostZ_guestStat.halt, Z_hostZ_guestStat.vmcs, Z_hostZ_guestStat.injected
    dq Z_hostZ_guestStat.first, Z_hostZ_guestStat.overhead, Z_hostZ_guestStat.nested, Z_hostZ_guestStat.faults, Z_hostZ_guestStat.halt_tsc
    dq Z_hostZ_guestStat.flushes, Z_hostZ_guestStat.wait, Z_hostZ_guestStat.paused, Z_hostZ_guestStat.life
    dq Z_hostZ_guestStat.handling, Z_hostZ_guestStat.modes, Z_hostZ_guestStat.generation, Z_hostZ_guestStat.copy_faults
    dq Z_hostZ_guestStat.copied
    dq Z_hostZ_guestStat.done
