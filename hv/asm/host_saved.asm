; Core's imports about a guest's state as a whole, besides its RAM: out of one, and into another that was not started. What comes in is
; hostile: registers go by the rules of fields.asm, the machine checks its own part, and what XRSTOR would refuse is refused here.
%include "hv.inc"
%include "host.inc"

extern generation_next, field_read, field_write, guest_tsc, guest_clock, ticks_of_ns, guest_asked, core_hold, context_drop, context_init, host_xcr0, account_start

section .bss
alignb 8
moment:         resq 1                          ; TSC of the last word ClockNs

section .text

; EQ: the guest in R12 has a machine and was not started. Clobbers: -
%macro IS_NEW 1                                 ; where else to go
    cmp qword [r12 + guest.instance_ptr], 0
    je %1
    cmp dword [r12 + guest.state], RunState_Created
    jne %1
%endmacro

; EQ, and goes on: as IS_NEW, or paused. Clobbers: EAX
%macro IS_OPEN 1                                ; where else to go
    cmp qword [r12 + guest.instance_ptr], 0
    je %1
    mov eax, [r12 + guest.state]
    cmp eax, RunState_Created
    je %%open
    cmp eax, RunState_Ended
    je %1
    cmp dword [r12 + guest.paused], 0
    je %1
%%open:
%endmacro

IMPORT guestEntry                               ; ESI slot, EDX GuestEntryReply
    HOLD refused
    xor eax, eax
    cmp qword [r12 + guest.instance_ptr], 0
    je .done
    mov edx, edx
    cmp edx, (entry_words.end - entry_words) / 8
    jae .done
    mov rdi, r12
    jmp [entry_words + rdx * 8]
.inject:
    mov esi, ExitField_Inject
    call field_read
    jmp .done
.halted:
    cmp dword [r12 + guest.state], RunState_Halted
    sete al
    jmp .done
.events:
    mov eax, [r12 + guest.events]
    jmp .done
.clock:
    RDTSC64
    cmp dword [r12 + guest.paused], 0
    je .moment
    mov rax, [r12 + guest.paused_at]            ; its time stands still
.moment:
    mov [moment], rax
    call guest_clock
    jmp .done
.tsc:
    mov rax, [moment]
    call guest_tsc
    jmp .done
.khz:
    mov rax, [r12 + guest.tsc_khz]
    jmp .done
.model:
    mov eax, [r12 + guest.cpu_model]
    jmp .done
.region:
    mov rax, [r12 + guest.linear]
    mov eax, [rax + Layout_StateBytes]
    jmp .done
.head0:
    mov eax, [r12 + guest.in_head]
    jmp .done
.tail0:
    mov eax, [r12 + guest.in_tail]
    jmp .done
.head1:
    mov eax, [r12 + guest.in_head + 4]
    jmp .done
.tail1:
    mov eax, [r12 + guest.in_tail + 4]
.done:
    DONE

; A range of a part. In: R12 guest block, EDX GuestPart, ECX offset, R8D offset in core's memory, R9D bytes
; Out: CF=1 there is none; RSI place in the part, RDI in core's memory, ECX bytes  Clobbers: RAX RDX R10 R11
range:
    cmp edx, GuestPart_Count
    jae .none
    cmp qword [r12 + guest.instance_ptr], 0
    je .none
    mov edi, edx
    mov r11d, ecx
    call context_drop                           ; the page is stale while this CPU holds the state
    shl edi, 4
    mov eax, [part_table + rdi + 8]
    mov edx, r9d
    lea rcx, [r11 + rdx]
    cmp rax, rcx
    jb .none
    mov eax, [part_table + rdi]
    mov rsi, [r12 + rax]
    mov eax, [part_table + rdi + 4]
    add rsi, rax
    add rsi, r11
    mov ecx, r8d
    call core_range
    mov rdi, rcx
    mov ecx, edx
    ret
.none:
    stc
    ret

IMPORT guestPartRead                            ; ESI slot, EDX GuestPart, ECX offset, R8D to, R9D bytes
    HOLD refused
    call range
    jc none
    rep movsb
    mov eax, 1
    DONE

IMPORT guestPartWrite                           ; ESI slot, EDX GuestPart, ECX offset, R8D from, R9D bytes
    HOLD refused
    IS_OPEN none
    cmp edx, GuestPart_CpuidNew
    ja none
    cmp edx, GuestPart_Fpu
    je .open
    cmp dword [r12 + guest.state], RunState_Created
    jne none
.open:
    call range
    jc none
    xchg rsi, rdi
    rep movsb
    ; XRSTOR and FXRSTOR must not fault (SDM vol. 1, 13.8.1; vol. 2, FXRSTOR): MXCSR's reserved bits, XSTATE_BV, the header's rest
    push rbp
    mov rbp, rsp
    sub rsp, 512
    and rsp, -16
    fxsave64 [rsp]
    mov eax, [rsp + 28]                         ; MXCSR_MASK
    leave
    test eax, eax
    jnz .mask
    mov eax, 0xFFBF
.mask:
    not eax
    mov rdx, [r12 + guest.context]
    test [rdx + 24], eax
    jnz .fault
    mov rax, [host_xcr0]
    not rax
    test [rdx + 512], rax
    jnz .fault
    lea rdi, [rdx + 520]
    xor eax, eax
    mov ecx, 7
    repe scasq
    jne .fault
    mov eax, 1
    DONE
.fault:
    mov rdi, rdx
    xor eax, eax
    mov ecx, GuestLimit_FpuBytes / 8
    rep stosq
    call context_init
none:
    xor eax, eax
    DONE

; General registers, RIP and all that has a rule. The TSC is of a moment: guestRestore takes it.
IMPORT guestRegisterWrite                       ; ESI slot, EDX Register or ExitField, RCX value
    HOLD refused
    IS_OPEN none
    mov dword [r12 + guest.flush], 1            ; a control register may be what a debugger changes
    mov esi, edx
    cmp esi, Register_Tsc
    je none
    mov rdi, r12
    mov rdx, rcx
    call field_write
    DONE

IMPORT guestRestore                             ; ESI slot, EDX halted, ECX EventBit bits, R8 nanoseconds, R9 its TSC
    call guest_of
    jc .none
    push r12
    push rbx
    push rcx
    mov r12, rax
    call core_hold
    mov eax, Status_BadState
    IS_NEW .done
    mov esi, edx
    mov rax, r8
    call ticks_of_ns
    mov rdx, rax
    mov eax, Status_BadRequest
    jc .done
    mov [r12 + guest.clock_start], rdx
    mov [r12 + guest.tsc_start], r9
    mov ebx, 5
    mov eax, ModuleHeader_Restore
    call guest_asked
    test eax, eax
    jnz .done
    call generation_next
    ; the rings of output are empty here, and its timer is armed at the first entry
    mov ecx, [rsp]
    and ecx, EventBit_Nmi | EventBit_ConsoleInput
    or ecx, EventBit_Timer | EventBit_ConsoleRoom
    lock or [r12 + guest.events], ecx
    mov dword [r12 + guest.paused], 1
    mov dword [r12 + guest.state], RunState_Runnable
    mov dword [r12 + guest.changed], 1
    call account_start
    xor eax, eax
.done:
    pop rcx
    pop rbx
    pop r12
    ret
.none:
    mov eax, Status_NoSuchGuest
    ret

section .rodata
align 8
; by GuestEntryReply
entry_words:
    dq Z_hostZ_guestEntry.inject, Z_hostZ_guestEntry.done, Z_hostZ_guestEntry.halted, Z_hostZ_guestEntry.events, Z_hostZ_guestEntry.clock
    dq Z_hostZ_guestEntry.tsc, Z_hostZ_guestEntry.khz, Z_hostZ_guestEntry.model, Z_hostZ_guestEntry.region, Z_hostZ_guestEntry.head0
    dq Z_hostZ_guestEntry.tail0, Z_hostZ_guestEntry.head1, Z_hostZ_guestEntry.tail1
.end:
; by GuestPart: where in the guest block its base is, offset from there, bytes
part_table:
    dd guest.linear, Layout_Region, Layout_RegionEnd - Layout_Region, 0
    dd guest.context, context.fpu, GuestLimit_FpuBytes, 0
    dd guest.linear, CpuidTable_New, CpuidTable_Rows * 16, 0
    dd guest.linear, CpuidTable_At, CpuidTable_Rows * 16, 0
    dd guest.in, 0, 2 * IN_RING, 0
    dd guest.linear, ReasonTable_At, ReasonTable_Bytes, 0
