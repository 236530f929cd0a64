; A guest's life, on core's behalf: its block, its pool of frames, RAM in nested tables and in the host's window, its machine
; instance and vCPU. Whatever does not fit is refused. host.asm has core's imports, which check slots and call here.
%include "hv.inc"

global guests_init, guest_table, pool_take, guest_high, guest_new, guest_pool, guest_ram, guest_init, guest_boot, guest_free, guest_end, guest_stood, guest_asked
extern early_alloc, frame_claim, frame_release, frame_drop, frame_table, block_claim, block_drop, share_lock
extern vendor_nested_entry, vendor_vcpu_init, vendor_set_tsc_offset, context_init, guest_drop, core_held, sched_lock, cpus_flush, cpu_mask
extern wasm_place_memory, wasm_place_table, machine_call, machine_instance_bytes
extern module_current, trace_free
extern core_pending, panic, tsc_khz, guest_ticks

section .bss
alignb 8
guest_table:    resq GuestLimit_Slots           ; guest blocks, virtual; 0: the slot is empty
window_pdpts:   resq WINDOW_PDPTS               ; virtual
guest_high:     resd 1                          ; all slots in use lie below

section .text

; The top two levels of all windows, so that a window later needs frames of its guest only. Before frames_init.
guests_init:
    push rbx
    push r12
    mov eax, [machine_instance_bytes]
    cmp eax, PAGE - guest.instance
    mov rdi, instance_large
    mov esi, 0
    ja panic
    mov r12, cr3
    TO_VIRTUAL r12
    add r12, (WINDOWS >> 39) * 8
    xor ebx, ebx
.pdpt:
    call early_alloc
    mov rcx, rax
    or rcx, PTE_P | PTE_W
    mov [r12 + rbx * 8], rcx
    TO_VIRTUAL rax
    mov [window_pdpts + rbx * 8], rax
    inc ebx
    cmp ebx, WINDOW_PDPTS
    jb .pdpt
    pop r12
    pop rbx
    ret

; In: EDI slot  Out: RAX the PDPT entry of the window's first GiB (virtual)  Clobbers: RCX
global window_entry
window_entry:
    mov eax, edi
    shr eax, 5
    mov rax, [window_pdpts + rax * 8]
    mov ecx, edi
    and ecx, 31
    shl ecx, 4 + 3
    add rax, rcx
    ret

; The next frame of a guest's pool. In: R12 guest block  Out: RAX virtual, CF=1 none left  Clobbers: RCX
pool_take:
    mov ecx, [r12 + guest.pool_used]
    cmp ecx, [r12 + guest.pool_count]
    jae .none
    mov eax, [r12 + guest.pool + rcx * 4]
    inc ecx
    mov [r12 + guest.pool_used], ecx
    shl rax, 12
    TO_VIRTUAL rax
    clc
    ret
.none:
    stc
    ret

; In: RAX direct map  Out: RAX physical, with present and writable
%macro TO_ENTRY 1
    sub rax, [direct_map]
    or rax, %1
%endmacro

; In: EDI slot (empty), ESI frame, EDX affinity (0: all CPUs)  Out: EAX 1, 0 refused
guest_new:
    push rbx
    push rbp
    mov ebx, edi
    mov ebp, [cpu_mask]
    test edx, edx
    jz .all
    not ebp
    test edx, ebp
    mov ebp, edx
    jnz .refused
.all:
    xchg edi, esi
    call frame_claim
    jc .refused
    mov [rax + guest.slot], ebx
    mov [rax + guest.affinity], ebp
    or ecx, -1
    mov [rax + guest.cpu], ecx
    mov [rax + guest.last_cpu], ecx
    mov dword [rax + guest.state], RunState_Created
    mov qword [rax + guest.deadline], -1
    mov dword [rax + guest.flush], 1
    mov dword [rax + guest.time], TIME_NONE
    mov rcx, rbx
    shl rcx, WINDOW_SHIFT
    mov rdx, WINDOWS
    add rcx, rdx
    mov rdx, WINDOW_RAM
    add rdx, rcx
    mov [rax + guest.ram], rdx
    add rcx, InstancePage_Bytes
    mov [rax + guest.linear], rcx
    mov [guest_table + rbx * 8], rax            ; last: other CPUs look at it from now on
    inc ebx
    cmp ebx, [guest_high]
    jbe .high
    mov [guest_high], ebx
.high:
    mov eax, 1
    pop rbp
    pop rbx
    ret
.refused:
    xor eax, eax
    pop rbp
    pop rbx
    ret

; In: R12 guest block, ESI frame  Out: EAX 1, 0 refused
guest_pool:
    cmp qword [r12 + guest.instance_ptr], 0
    jne .refused
    cmp dword [r12 + guest.pool_count], POOL_MAX
    jae .refused
    mov edi, esi
    push rsi
    mov esi, [r12 + guest.slot]
    call frame_claim
    pop rsi
    jc .refused
    mov ecx, [r12 + guest.pool_count]
    mov [r12 + guest.pool + rcx * 4], esi
    inc ecx
    mov [r12 + guest.pool_count], ecx
    mov eax, 1
    ret
.refused:
    xor eax, eax
    ret

; In: R12 guest block, ESI block of 2 MiB, RDX guest-physical address  Out: EAX 1, 0 refused
guest_ram:
    push rbx
    push r13
    push r14
    mov r13, rdx
    mov r14d, esi
    cmp qword [r12 + guest.instance_ptr], 0
    jne .refused
    cmp rdx, [r12 + guest.ram_bytes]
    jne .refused
    mov eax, GuestLimit_MaxMiB << 20
    cmp rdx, rax
    jae .refused
    mov rbx, rdx
    shr rbx, 30
    cmp qword [r12 + guest.nested_pds + rbx * 8], 0
    jne .tables
    ; a further GiB: page directories for the nested tables and for the host's view
    mov eax, [r12 + guest.pool_count]
    sub eax, [r12 + guest.pool_used]
    cmp eax, 4
    jb .refused
    cmp qword [r12 + guest.nested_pa], 0
    jne .root
    call pool_take                              ; PML4
    mov rdx, rax
    sub rax, [direct_map]
    mov [r12 + guest.nested_pa], rax
    call pool_take                              ; PDPT
    TO_ENTRY PTE_P | PTE_W | PTE_U
    mov [rdx], rax
.root:
    call pool_take
    mov [r12 + guest.nested_pds + rbx * 8], rax
    TO_ENTRY PTE_P | PTE_W | PTE_U              ; read, write, execute to EPT
    mov rdx, [r12 + guest.nested_pa]
    TO_VIRTUAL rdx
    mov rdx, [rdx]
    and rdx, -PAGE
    TO_VIRTUAL rdx
    mov [rdx + rbx * 8], rax
    call pool_take
    mov [r12 + guest.ram_pds + rbx * 8], rax
    mov rdx, rax
    mov edi, [r12 + guest.slot]
    call window_entry
    lea rcx, [rax + (WINDOW_RAM >> 30) * 8]
    mov rax, rdx
    TO_ENTRY PTE_P | PTE_W
    mov [rcx + rbx * 8], rax
.tables:
    mov edi, r14d
    mov esi, [r12 + guest.slot]
    call block_claim
    jc .refused
    mov rdx, r13
    shr rdx, 21
    and edx, 511
    mov eax, r14d
    shl rax, 21
    mov rcx, rax
    or rcx, PTE_P | PTE_W | PTE_PS
    bts rcx, 63
    mov rsi, [r12 + guest.ram_pds + rbx * 8]
    mov [rsi + rdx * 8], rcx
    call [vendor_nested_entry]
    mov rsi, [r12 + guest.nested_pds + rbx * 8]
    mov [rsi + rdx * 8], rax
    add qword [r12 + guest.ram_bytes], BLOCK
    mov eax, 1
.out:
    pop r14
    pop r13
    pop rbx
    ret
.refused:
    xor eax, eax
    jmp .out

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

; In: R12 guest block, EAX EndReason, RDX value. The first end counts. Core may look from another CPU: what goes with the state is there before
; it, and the mark after it.  Clobbers: -
guest_end:
    cmp dword [r12 + guest.state], RunState_Ended
    je .done
    mov [r12 + guest.reason], eax
    mov [r12 + guest.value], rdx
    mov dword [r12 + guest.state], RunState_Ended
    mov dword [r12 + guest.changed], 1
    lock or dword [core_pending], 1
    mov dword [gs:pc.attention], 1
.done:
    ret

; Guest time stood still: its TSC, its clock and what it waits for are put off. In: R12 guest block, RAX TSC ticks  Clobbers: RAX RCX RDX
guest_stood:
    cmp qword [r12 + guest.tsc0], 0
    je .done
    add [r12 + guest.tsc0], rax
    cmp qword [r12 + guest.deadline], -1
    je .no_deadline
    add [r12 + guest.deadline], rax
.no_deadline:
    call guest_ticks
    mov rdx, [r12 + guest.tsc_offset]
    sub rdx, rax
    mov [r12 + guest.tsc_offset], rdx
    jmp [vendor_set_tsc_offset]
.done:
    ret

; All frames go back, Dirty; the slot is empty. In: R12 guest block (Created or Ended), held by core
guest_free:
    push rbx
    push rbp
    push r13
    push r14
    ; no CPU knows it any more
    cli
    call guest_drop
    mov qword [core_held], 0
    SPIN_LOCK sched_lock
    mov esi, [r12 + guest.slot]
    mov qword [guest_table + rsi * 8], 0
    mov ecx, [guest_high]                       ; follows down
.high:
    test ecx, ecx
    jz .high_done
    cmp qword [guest_table + rcx * 8 - 8], 0
    jne .high_done
    dec ecx
    jmp .high
.high_done:
    mov [guest_high], ecx
    SPIN_UNLOCK sched_lock
    sti
    ; the window closes on all CPUs before what was seen through it, or its tables, are anybody else's
    mov edi, esi
    call window_entry
    mov rdi, rax
    mov ecx, 16
    xor eax, eax
    rep stosq
    call cpus_flush
    xor ebx, ebx
.gib:
    mov r13, [r12 + guest.nested_pds + rbx * 8]
    test r13, r13
    jz .next_gib
    xor ebp, ebp
.block:
    mov rdi, [r13 + rbp * 8]
    test rdi, rdi
    jz .next_block
    cli
    SPIN_LOCK share_lock
    call entry_free
    SPIN_UNLOCK share_lock
    sti
.next_block:
    inc ebp
    cmp ebp, 512
    jb .block
.next_gib:
    inc ebx
    cmp ebx, 3
    jb .gib
    call trace_free
    xor ebx, ebx
.frame:
    cmp ebx, [r12 + guest.pool_count]
    jae .frames_done
    mov edi, [r12 + guest.pool + rbx * 4]
    cli
    SPIN_LOCK share_lock
    call frame_drop
    SPIN_UNLOCK share_lock
    sti
    inc ebx
    jmp .frame
.frames_done:
    mov esi, [r12 + guest.slot]
    mov rdi, r12
    sub rdi, [direct_map]
    shr rdi, 12
    call frame_release
    pop r14
    pop r13
    pop rbp
    pop rbx
    ret

; What a 2 MiB entry of a guest's nested tables maps is the guest's no more: a block, or a table and its pages.
; In: RDI entry, R12 guest block, under share_lock  Clobbers: RAX RCX RDX RSI RDI R8
entry_free:
    mov esi, [r12 + guest.slot]
    test dil, PTE_PS
    mov rax, PTE_ADDRESS
    jz .table
    and rdi, rax
    shr rdi, 21
    jmp block_drop
.table:
    and rdi, rax
    mov rsi, rdi
    TO_VIRTUAL rsi
    shr rdi, 12
    mov r8, rdi
    mov rcx, [frame_table]
    cmp dword [rcx + rdi * 8 + 4], 1
    jne .dropped                                ; another guest has it too
    mov edx, 512
.page:
    mov rdi, PTE_ADDRESS
    and rdi, [rsi]
    shr rdi, 12
    call frame_drop
    add rsi, 8
    dec edx
    jnz .page
.dropped:
    mov edi, r8d
    jmp frame_drop

section .rodata
instance_large: db "the machine's instance does not fit its guest block", 0
