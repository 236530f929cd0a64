; A guest goes over to another machine module, between an exit and the next entry: core holds it, so that its machine runs nowhere.
;
;   1. The old instance is kept: its struct and linear memory, which lie side by side and are the guest's alone from then on, and its table. A copy
;      (clone.asm) has no place for one: a module that wants one traps there.
;   2. Their place is made all zeros, and the new module's instance is made there, as for a new guest.
;   3. The moves take the state region over, field by field as the control plane found it in both layout tables; the CPUID table and what
;      lies between a debugger's wishes and the region go as they are.
;   4. The machine's restore() checks all of that, as for a guest out of a snapshot.
;   5. The new module's exports are the guest's from now on. Windows are asked for again, and it hears that its timer may be due.
;
; Whatever fails before 5 puts back what was kept. What the new module did to the guest's RAM or consoles by then it has done: the one of
; hv/machine does nothing there before its first exit. The vCPU, RAM and all else of the guest block stay as they are.
%include "hv.inc"

global guest_swap, swap_reason, swap_value
extern machine_call, trace_set, field_write, share_linear, wasm_place_memory, wasm_place_table

INSTANCE_BYTES  equ PAGE - guest.instance
LINEAR          equ INSTANCE_BYTES              ; in what is kept: the linear memory
TABLE           equ LINEAR + Layout_End         ; and the table
REGION_BYTES    equ Layout_RegionEnd - Layout_Region

%if TABLE + PAGE > ModuleLimit_SwapRoom
%error what is kept of an instance does not fit
%endif

section .bss
alignb 8
swap_value:     resq 1                          ; of the last swap that failed: as a guest's
swap_reason:    resd 1

section .text

; In: R12 guest block, held by core, R13 module's header, RSI moves, ECX how many, RBP ModuleLimit_SwapRoom bytes to keep the old instance in
; Out: EAX Status, and swap_reason and swap_value if it is not Ok  Clobbers: caller-saved
guest_swap:
    push rbx
    push r14
    push r15
    mov r14, rsi
    mov r15d, ecx
    mov eax, [r12 + guest.state]
    mov [swap_value], rax
    sub eax, RunState_Runnable
    cmp eax, RunState_Halted - RunState_Runnable
    mov eax, Status_BadState
    ja .out
    call share_linear
    mov eax, Status_NoMemory
    jc .out
    push qword [r12 + guest.deadline]
    mov rsi, [r12 + guest.instance_ptr]
    mov rdi, rbp
    mov ecx, (INSTANCE_BYTES + Layout_End) / 8
    rep movsq
    mov rsi, [r12 + guest.table]
    test rsi, rsi
    jz .kept
    mov ecx, PAGE / 8
    rep movsq
.kept:
    xor eax, eax
    mov rdi, [r12 + guest.instance_ptr]
    mov ecx, (INSTANCE_BYTES + Layout_End) / 8
    rep stosq
    mov rdi, [r12 + guest.table]
    mov [wasm_place_table], rdi
    test rdi, rdi
    jz .instance
    mov ecx, PAGE / 8
    rep stosq
.instance:
    mov rax, [r12 + guest.linear]
    mov [wasm_place_memory], rax
    mov ebx, 20
    mov rsi, r12
    mov edx, ModuleHeader_Instantiate
    call ask
    jc .trapped
    mov ebx, 5
    xor esi, esi                                ; the wall clock is state
    mov ecx, [r12 + guest.cpu_model]
    mov edx, ModuleHeader_Init
    call ask
    jc .trapped
    test eax, eax
    jnz .refused

    xor eax, eax
    mov rdi, [r12 + guest.region]
    mov ecx, REGION_BYTES / 8
    rep stosq
.move:
    dec r15d
    js .moved
    mov rax, [r14]                              ; once: it lies where others may write
    add r14, 8
    movzx esi, ax                               ; from
    shr rax, SwapMove_To
    movzx edi, ax
    shr rax, SwapMove_Bytes - SwapMove_To
    movzx ecx, ax
    mov eax, Status_BadRequest
    lea edx, [rsi + rcx]
    cmp edx, REGION_BYTES
    ja .failed
    mov [swap_value], rsi
    lea rsi, [rbp + LINEAR + Layout_Region + rsi]
    cmp edi, SwapMove_Nowhere
    je .must_be_zero
    lea edx, [rdi + rcx]
    cmp edx, REGION_BYTES
    ja .failed
    add rdi, [r12 + guest.region]
    rep movsb
    jmp .move
.must_be_zero:
    mov rdi, rsi
    xor eax, eax                                ; EQ, if there are no bytes
    repe scasb
    je .move
    mov eax, Status_StateNotZero
    jmp .failed
.moved:
    mov rdx, [r12 + guest.linear]
    lea rsi, [rbp + LINEAR + Layout_Debug]
    lea rdi, [rdx + Layout_Debug]
    mov ecx, (Layout_Region - Layout_Debug) / 8
    rep movsq
    lea rsi, [rbp + LINEAR + CpuidTable_At]
    lea rdi, [rdx + CpuidTable_New]
    mov ecx, CpuidTable_Rows * 16 / 8
    rep movsq
    xor esi, esi
    cmp dword [r12 + guest.state], RunState_Halted
    sete sil
    mov ebx, 5
    mov edx, ModuleHeader_Restore
    call ask
    jc .trapped
    test eax, eax
    jnz .refused
    mov eax, [r12 + guest.reason]
    mov rdx, [r12 + guest.value]
    test eax, eax
    jnz .trapped                                ; it named an end

    add rsp, 8
    mov [r12 + guest.module], r13
    mov edx, [r12 + guest.trace_modes]
    call trace_set                              ; guest.exit
    mov esi, ExitField_InterruptWindow
    call close
    mov esi, ExitField_NmiWindow
    call close
    lock or dword [r12 + guest.events], EventBit_Timer | EventBit_ConsoleRoom
    xor eax, eax
.out:
    pop r15
    pop r14
    pop rbx
    ret

.refused:                                       ; EAX Status
    mov r15d, eax
    mov ebx, 5
    mov edx, ModuleHeader_BootValue
    call ask
    jc .trapped
    mov [swap_value], rax
    mov eax, r15d
    jmp .failed
.trapped:
    mov [swap_reason], eax
    mov [swap_value], rdx
    mov eax, Status_Ended
.failed:                                        ; the guest keeps what it has
    mov rsi, rbp
    mov rdi, [r12 + guest.instance_ptr]
    mov ecx, (INSTANCE_BYTES + Layout_End) / 8
    rep movsq
    mov rdi, [r12 + guest.table]
    test rdi, rdi
    jz .back
    mov ecx, PAGE / 8
    rep movsq
.back:
    pop qword [r12 + guest.deadline]
    xor ecx, ecx
    mov [r12 + guest.reason], ecx
    mov [r12 + guest.value], rcx
    jmp .out

; Calls the new module. In: R12 guest block, R13 header, EDX place of the function in it, RSI and ECX its arguments, EBX budget
; Out: as machine_call
ask:
    mov rax, [r13 + rdx]
    mov edx, ecx
    mov rdi, r12
    jmp machine_call

; In: R12 guest block, ESI a window's ExitField  Clobbers: caller-saved
close:
    mov rdi, r12
    xor edx, edx
    jmp field_write
