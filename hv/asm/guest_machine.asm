; A guest's machine: its instance in the window, its vCPU, and what core asks of it before the first instruction.
%include "hv.inc"

global guest_init, guest_boot, guest_asked
extern context_init, guest_end, machine_call, module_current, pool_take, tsc_khz, vendor_vcpu_init, window_entry
extern wasm_place_memory, wasm_place_table

section .text

; The machine's instance, its vCPU. In: R12 guest block, RDX wall seconds, ECX CpuModel, R8D its TSC's kilohertz, 0: the host's
; Out: EAX 1, 0 refused or ended
guest_init:
    push rbx
    push r13
    push r14
    push r15
    mov r13, rdx
    mov r15d, ecx
    mov eax, r8d
    test eax, eax
    jnz .rate
    mov rax, [tsc_khz]
.rate:
    mov [r12 + guest.tsc_khz], rax
    ; the ratio: 2^48 where the rates are alike
    mov rsi, [tsc_khz]
    mov rdi, rsi
    sub rdi, rax
    mov rdx, rdi
    neg rdx
    cmovs rdx, rdi                              ; the difference
    mov rdi, rsi
    shr rdi, TscRate_AlikeShift
    cmp rdx, rdi
    ja .other_rate
    mov rax, rsi
.other_rate:
    xor edx, edx
    shld rdx, rax, 48
    shl rax, 48
    div rsi                                     ; kHz are below 2^32: far below RSI << 64
    mov [r12 + guest.tsc_ratio], rax
    mov [r12 + guest.cpu_model], ecx
    cmp qword [r12 + guest.instance_ptr], 0
    jne .refused
    cmp dword [r12 + guest.state], RunState_Created
    jne .refused
    cmp qword [r12 + guest.ram_bytes], 0
    je .refused
    mov eax, [r12 + guest.pool_count]
    sub eax, [r12 + guest.pool_used]
    cmp eax, 1 + Layout_End / PAGE + 2 + 1 + 1 + 2
    jb .refused

    ; at the window's start the guest block once more, then the linear memory
    call pool_take
    mov [r12 + guest.window_pd], rax
    mov r14, rax
    TO_ENTRY PTE_P | PTE_W
    mov rdx, rax
    mov edi, [r12 + guest.slot]
    call window_entry
    mov [rax], rdx
    call pool_take
    mov [r12 + guest.window_pt], rax
    lea rdx, [rax + 8]
    TO_ENTRY PTE_P | PTE_W
    mov [r14], rax
    mov eax, [r12 + guest.pool_used]
    mov [r12 + guest.pool_linear], eax
    mov rax, r12
    TO_ENTRY PTE_P | PTE_W
    bts rax, 63
    mov [rdx - 8], rax
    xor ebx, ebx
.page:
    call pool_take
    TO_ENTRY PTE_P | PTE_W
    bts rax, 63
    mov [rdx + rbx * 8], rax
    inc ebx
    cmp ebx, Layout_End / PAGE
    jb .page
    call pool_take
    mov [r12 + guest.table], rax
    call pool_take
    mov [r12 + guest.vcb], rax
    sub rax, [direct_map]
    mov [r12 + guest.vcb_pa], rax
    call pool_take
    mov [r12 + guest.context], rax
    call pool_take
    mov [r12 + guest.out], rax
    call pool_take
    mov [r12 + guest.out + 8], rax
    add rax, OUT_RING2
    mov [r12 + guest.in], rax
    add rax, IN_RING
    mov [r12 + guest.in + 8], rax

    mov rax, [r12 + guest.linear]
    mov [wasm_place_memory], rax
    lea rcx, [rax + Layout_Region]
    mov [r12 + guest.region], rcx
    mov rax, [r12 + guest.table]
    mov [wasm_place_table], rax
    mov rax, [r12 + guest.linear]
    add rax, InstancePage_Instance - InstancePage_Bytes
    mov [r12 + guest.instance_ptr], rax
    mov rcx, [module_current]
    mov [r12 + guest.module], rcx
    mov rax, [rcx + ModuleHeader_Exit]
    mov [r12 + guest.exit], rax
    call context_init
    call [vendor_vcpu_init]
    mov ebx, 20
    mov rdi, r12
    mov rsi, r12
    mov rax, [r12 + guest.module]
    mov rax, [rax + ModuleHeader_Instantiate]
    call machine_call
    jc .trapped
    mov rsi, r13
    mov edx, r15d
    mov eax, ModuleHeader_Init
    call guest_asked
    test eax, eax
    sete al
    movzx eax, al
    jmp .out
.trapped:
    call guest_end
.refused:
    xor eax, eax
.out:
    pop r15
    pop r14
    pop r13
    pop rbx
    ret

; In: R12 guest block, ESI kind, RDX block, ECX bytes  Out: EAX Status; guest.value says more
guest_boot:
    push rbx
    mov eax, Status_BadState
    cmp qword [r12 + guest.instance_ptr], 0
    je .done
    cmp dword [r12 + guest.state], RunState_Created
    jne .done
    mov ebx, 200                                ; it may move megabytes: 2 s
    mov eax, ModuleHeader_Boot
    call guest_asked
.done:
    pop rbx
    ret

; A machine's answer, a Status. In: R12 guest block, EAX place of the function in its module's header, RSI RDX RCX its arguments, EBX budget
; Out: EAX Status; guest.value says more  Clobbers: RBX and caller-saved
guest_asked:
    mov rdi, r12
    add rax, [r12 + guest.module]
    mov rax, [rax]
    call machine_call
    jc .trapped
    mov [r12 + guest.boot_status], eax
    test eax, eax
    jz .done
    mov rdi, r12
    mov rax, [r12 + guest.module]
    mov rax, [rax + ModuleHeader_BootValue]
    mov ebx, 5
    call machine_call
    jc .trapped
    mov [r12 + guest.value], rax
    mov eax, [r12 + guest.boot_status]
.done:
    ret
.trapped:
    call guest_end
    mov eax, Status_Ended
    ret
