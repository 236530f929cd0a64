; A copy of a guest: a guest block, a vCPU and a machine of its own, and the source's RAM and linear memory, shared until one of the two writes
; (share.asm). What is small is copied: the vCPU's registers, FPU, console input, the machine's instance and the page of its linear memory
; that the world switch writes to, where no fault may be.
;
;   1. guest_clone checks that the copy is empty and its pool suffices; nothing is changed before
;   2. tables: the copy gets nested tables and a host's view with the source's entries, none of which may write, and nor may the source's
;   3. window: the copy's block, its first page of linear memory, the other pages as the source has them
;   4. state: what the guest block, the context page, the vCPU and the instance have
;   5. every CPU forgets the source's window, and the source's nested translations are dropped before its next entry: it is resident nowhere
;   6. core holds the copy instead, so that the source goes on; the copy goes on where it was
%include "hv.inc"

global guest_clone, generation_next
extern pool_take, window_entry, share_lock, frame_table, block_shares, core_hold, cpus_flush, guest_drop, guest_stood, account_start
extern vendor_vcpu_init, vendor_set_tsc_offset, field_read, field_write

section .bss
alignb 8
generations:    resq 1                          ; numbers given so far
values:         resq FIELDS

section .text

; In: R12 the copy's guest block (Created, its pool filled), R13 the source's, held by core; EDX 1: the copy is to be paused; RCX its entropy,
; virtual  Out: RAX TSC ticks that step 2 took; 0 refused: nothing was changed  Clobbers: caller-saved, RBX RBP R14 R15
guest_clone:
    xor eax, eax
    cmp qword [r12 + guest.nested_pa], 0
    jne .refused
    cmp dword [r12 + guest.state], RunState_Created
    jne .refused
    cmp dword [r12 + guest.pool_used], 0
    jne .refused
    cmp qword [r13 + guest.instance_ptr], 0
    je .refused
    mov rax, [r13 + guest.module]
    mov rax, [rax + ModuleHeader_InstanceMore]
    cmp dword [rax], 0
    jne .refused
    mov esi, [r13 + guest.state]
    sub esi, RunState_Runnable
    cmp esi, RunState_Halted - RunState_Runnable
    ja .refused
    mov rsi, [r13 + guest.ram_bytes]
    add rsi, (1 << 30) - 1
    shr rsi, 30
    lea esi, [rsi * 2 + POOL_CLONE]
    cmp [r12 + guest.pool_count], esi
    jb .refused
    push rdx
    push rcx
    RDTSC64
    push rax
    call tables
    RDTSC64
    sub rax, [rsp]
    mov [rsp], rax
    call window
    mov rcx, [rsp + 8]
    call identity
    call state
    mov dword [r12 + guest.sharing], 1
    mov dword [r13 + guest.sharing], 1
    mov dword [r13 + guest.flush], 1
    call cpus_flush
    call core_hold
    cmp dword [rsp + 16], 0
    call begin
    pop rax
    pop rcx
    pop rdx
.refused:
    ret

; Step 2. In: R12, R13  Clobbers: all but R12 R13
tables:
    call pool_take
    mov rdx, rax
    sub rax, [direct_map]
    mov [r12 + guest.nested_pa], rax
    call pool_take
    mov rbx, rax                                ; PDPT
    sub rax, [direct_map]
    or rax, PTE_P | PTE_W | PTE_U
    mov [rdx], rax
    xor ebp, ebp
.gib:
    mov r14, [r13 + guest.nested_pds + rbp * 8]
    test r14, r14
    jz .next
    mov r15, [r13 + guest.ram_pds + rbp * 8]
    call pool_take
    mov r10, rax
    mov [r12 + guest.nested_pds + rbp * 8], rax
    sub rax, [direct_map]
    or rax, PTE_P | PTE_W | PTE_U
    mov [rbx + rbp * 8], rax
    call pool_take
    mov r11, rax
    mov [r12 + guest.ram_pds + rbp * 8], rax
    mov edi, [r12 + guest.slot]
    call window_entry
    mov rdx, r11
    sub rdx, [direct_map]
    or rdx, PTE_P | PTE_W
    mov [rax + (WINDOW_RAM >> 30) * 8 + rbp * 8], rdx
    call directory
.next:
    inc ebp
    cmp ebp, 3
    jb .gib
    mov rax, [r13 + guest.ram_bytes]
    mov [r12 + guest.ram_bytes], rax
    ret

; One GiB: the entries of both page directories, without the right to write. In: R14 R15 the source's for the guest and for the host, R10 R11 the
; copy's  Clobbers: RAX RCX RDX RSI RDI R8 R9
directory:
    mov r8, [frame_table]
    mov r9, [block_shares]
    mov rdi, PTE_ADDRESS
    xor ecx, ecx
    pushfq
    cli
    SPIN_LOCK share_lock
.entry:
    mov rax, [r14 + rcx * 8]
    test rax, rax
    jz .done
    and rax, ~PTE_W
    mov [r14 + rcx * 8], rax
    mov [r10 + rcx * 8], rax
    mov rdx, [r15 + rcx * 8]
    and rdx, ~PTE_W
    mov [r15 + rcx * 8], rdx
    mov [r11 + rcx * 8], rdx
    mov rsi, rax
    and rsi, rdi
    shr rsi, 12
    test al, PTE_PS
    jz .table
    shr rsi, 9
    cmp word [r9 + rsi * 2], 1
    adc word [r9 + rsi * 2], 1                  ; one more; of a block that was not shared, two
    jmp .next
.table:
    inc dword [r8 + rsi * 8 + 4]
.next:
    inc ecx
    cmp ecx, 512
    jb .entry
.done:
    SPIN_UNLOCK share_lock
    popfq
    ret

; Step 3. In: R12, R13  Clobbers: caller-saved, RBX RBP R14
window:
    call pool_take
    mov [r12 + guest.window_pd], rax
    mov rbx, rax
    sub rax, [direct_map]
    lea rdx, [rax + PTE_P + PTE_W]
    mov edi, [r12 + guest.slot]
    call window_entry
    mov [rax], rdx
    call pool_take
    mov [r12 + guest.window_pt], rax
    mov rbp, rax
    sub rax, [direct_map]
    or rax, PTE_P | PTE_W
    mov [rbx], rax
    mov rax, r12
    sub rax, [direct_map]
    or rax, PTE_P | PTE_W
    bts rax, 63
    mov [rbp], rax
    call pool_take
    mov [r12 + guest.vcb], rax
    sub rax, [direct_map]
    mov [r12 + guest.vcb_pa], rax
    call pool_take
    mov [r12 + guest.context], rax
    mov rsi, [r13 + guest.context]
    call page_copy
    call pool_take
    mov [r12 + guest.out], rax
    call pool_take
    mov [r12 + guest.out + 8], rax
    add rax, OUT_RING2
    mov [r12 + guest.in], rax
    lea rdi, [rax]
    add rax, IN_RING
    mov [r12 + guest.in + 8], rax
    mov rsi, [r13 + guest.in]
    mov ecx, 2 * IN_RING / 8
    rep movsq
    ; the linear memory's first page, then the others, which join the pool
    mov eax, [r12 + guest.pool_used]
    mov [r12 + guest.pool_linear], eax
    call pool_take
    mov rsi, [r13 + guest.linear]
    call page_copy
    sub rax, [direct_map]
    or rax, PTE_P | PTE_W
    bts rax, 63
    mov [rbp + 8], rax
    mov r14, [r13 + guest.window_pt]
    mov r8, [frame_table]
    mov ecx, 2
    mov ebx, [r12 + guest.pool_count]
    pushfq
    cli
    SPIN_LOCK share_lock
.page:
    mov rax, [r14 + rcx * 8]
    and rax, ~PTE_W
    mov [r14 + rcx * 8], rax
    mov [rbp + rcx * 8], rax
    shl rax, 12
    shr rax, 24
    inc dword [r8 + rax * 8 + 4]
    mov [r12 + guest.pool + rbx * 4], eax
    inc ebx
    inc ecx
    cmp ecx, Layout_End / PAGE
    jbe .page
    SPIN_UNLOCK share_lock
    popfq
    mov [r12 + guest.pool_count], ebx
    mov [r12 + guest.pool_used], ebx
    ret

; In: RAX to, RSI from, pages  Clobbers: RCX RSI RDI
page_copy:
    mov rdi, rax
    mov ecx, PAGE / 8
    rep movsq
    ret

; Which copy a guest is; in the page of its linear memory that it shares with nobody. In: R12 guest block, RCX entropy, virtual; 0: zeros
; Clobbers: RAX RCX RSI RDI
identity:
    mov eax, 1
    lock xadd [generations], rax
    inc rax
    mov [r12 + guest.generation], rax
    mov rdi, [r12 + guest.linear]
    add rdi, Layout_Copy
    mov [rdi + CopyRecord_Generation], rax
    add rdi, CopyRecord_Entropy
    mov rsi, rcx
    mov ecx, GuestLimit_EntropyBytes
    test rsi, rsi
    jz .none
    rep movsb
    ret
.none:
    xor eax, eax
    rep stosb
    ret

; A guest that goes on from elsewhere is a copy too. In: R12 guest block, whose linear memory is its own  Clobbers: RAX RCX RSI RDI
generation_next:
    xor ecx, ecx
    jmp identity

; Step 4. In: R12, R13  Clobbers: all but R12 R13
state:
    mov rax, [r12 + guest.linear]
    lea rcx, [rax + Layout_Region]
    mov [r12 + guest.region], rcx
    mov qword [rax + Layout_Debug], 0           ; nobody debugs it
    add rax, InstancePage_Instance - InstancePage_Bytes
    mov [r12 + guest.instance_ptr], rax
    mov rbx, [r13 + guest.module]
    mov [r12 + guest.module], rbx
    mov rax, [rbx + ModuleHeader_Exit]
    mov [r12 + guest.exit], rax
    xor ecx, ecx
.word:                                          ; what the guest block has alike
    movzx eax, word [alike + rcx * 2]
    mov rdx, [r13 + rax]
    mov [r12 + rax], rdx
    inc ecx
    cmp ecx, (alike.end - alike) / 2
    jb .word
    mov eax, [r13 + guest.events]
    and eax, ~EventBit_ConsoleRoom
    or eax, EventBit_ConsoleRoom                ; its rings of output are empty
    mov [r12 + guest.events], eax
    mov eax, [r13 + guest.cpu_model]
    mov [r12 + guest.cpu_model], eax
    ; the instance: where it stands, and its memory
    lea rsi, [r13 + guest.instance]
    lea rdi, [r12 + guest.instance]
    mov rax, [rbx + ModuleHeader_InstanceBytes]
    mov ecx, [rax]
    add ecx, 7
    shr ecx, 3
    rep movsq
    mov [r12 + guest.instance], r12
    mov rax, [rbx + ModuleHeader_InstanceMemory]
    mov eax, [rax]
    mov rcx, [r12 + guest.linear]
    mov [r12 + guest.instance + rax], rcx
    ; the vCPU: all of the source's fields, then all of the copy's
    xor ebx, ebx
.read:
    movzx esi, byte [fields + rbx]
    mov rdi, r13
    call field_read
    mov [values + rbx * 8], rax
    inc ebx
    cmp ebx, FIELDS
    jb .read
    call [vendor_vcpu_init]
    xor ebx, ebx
.write:
    movzx esi, byte [fields + rbx]
    mov rdx, [values + rbx * 8]
    mov rdi, r12
    call field_write
    inc ebx
    cmp ebx, FIELDS
    jb .write
    mov rdx, [r12 + guest.tsc_offset]
    call [vendor_set_tsc_offset]
    mov qword [r12 + guest.injected], 0
    cli
    call guest_drop                             ; its vCPU is this CPU's no more
    sti
    ret

; Step 6. In: R12, held; R13 the source's guest block; EQ: it goes on, NE: it is paused  Clobbers: caller-saved
begin:
    pushfq
    RDTSC64
    mov rcx, rax
    cmp dword [r13 + guest.paused], 0
    je .moment
    mov rcx, [r13 + guest.paused_at]            ; its time stood still since
.moment:
    popfq
    je .goes
    mov dword [r12 + guest.paused], 1
    mov [r12 + guest.paused_at], rcx
    jmp .state
.goes:
    sub rax, rcx
    call guest_stood
.state:
    mov eax, [r13 + guest.state]
    mov [r12 + guest.state], eax
    mov dword [r12 + guest.woken], 1
    mov dword [r12 + guest.changed], 1
    jmp account_start

section .rodata
; words of the guest block
alike:
    dw guest.deadline, guest.tsc0, guest.tsc_offset, guest.tsc_khz, guest.tsc_ratio, guest.clock_start, guest.tsc_start
    dw guest.in_head, guest.in_tail
.end:
; the vCPU's fields that are not in the linear memory, in an order in which each fits those before it
%macro FIELD_RANGE 2
  %assign n %1
  %rep %2 - %1 + 1
    db n
    %assign n n + 1
  %endrep
%endmacro
fields:
    db Register_Efer, Register_Cr4, Register_Cr3, Register_Cr0
    db Register_Rsp, Register_Rflags, Register_Cr2, Register_Cr8, Register_Xcr0
    FIELD_RANGE Register_EsSelector, Register_Pat
    FIELD_RANGE Register_InterruptShadow, Register_PendingDebug
    db ExitField_InjectLength, ExitField_Inject, ExitField_InterruptWindow, ExitField_NmiWindow
FIELDS          equ $ - fields
