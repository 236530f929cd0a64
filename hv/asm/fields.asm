; The neutral fields (protocol/state.ts): what each may be set to, and who has it: the VcpuRecord, the context page, or the vendor.
; What the host owns cannot be expressed here: there is no field for it.
%include "hv.inc"

global field_read, field_write, guest_ticks, guest_tsc, cr4_backed
extern vendor_read, vendor_write, vendor_set_cr0, vendor_set_cr3, vendor_set_cr4, vendor_set_efer, vendor_set_tsc_offset, vendor_set_pdpte
extern context_drop, host_xcr0

section .bss
alignb 8
cr4_backed:     resq 1                          ; bits of CR4 that guests are offered and the CPU has

section .text

; In: RDI guest block, ESI field  Out: RAX (unknown: 0)  Clobbers: RCX RDX R10
field_read:
    push r12
    mov r12, rdi
    xor eax, eax
    cmp esi, ExitField_NmiWindow
    ja .done
    cmp esi, Register_Rsp
    je .vendor
    cmp esi, Register_Rip
    jb .gpr
    je .rip
    cmp esi, Register_Tsc
    je .tsc
    call [vendor_read]
    jnc .done
    call page_of
    jc .unknown
    push rsi
    push r9
    call context_drop                           ; the page is stale while this CPU holds the state
    pop r9
    pop rsi
    mov rax, [r12 + guest.context]
    mov rax, [rax + r9]
    jmp .done
.vendor:
    call [vendor_read]
    jmp .done
.gpr:
    mov rax, [r12 + guest.region]
    mov rax, [rax + rsi * 8]
    jmp .done
.rip:
    mov rax, [r12 + guest.region]
    mov rax, [rax + VcpuRecord_Rip]
    jmp .done
.tsc:
    RDTSC64
    call guest_tsc
    jmp .done
.unknown:
    xor eax, eax
.done:
    pop r12
    ret

; The host's TSC ticks as the guest's. In: R12 guest block, RAX  Out: RAX  Clobbers: RDX
guest_ticks:
    mul qword [r12 + guest.tsc_ratio]
    shrd rax, rdx, 48
    ret

; A guest's TSC. In: R12 guest block, RAX TSC  Out: RAX  Clobbers: RDX
guest_tsc:
    call guest_ticks
    add rax, [r12 + guest.tsc_offset]
    cmp qword [r12 + guest.tsc0], 0
    jne .started
    mov rax, [r12 + guest.tsc_start]
.started:
    ret

; In: ESI Register  Out: R9 offset in the context page; CF=1 not there  Clobbers: RCX
page_of:
    lea ecx, [rsi - Register_Dr0]
    cmp ecx, 3
    ja .not_dr
    lea r9d, [context.dr + rcx * 8]
    clc
    ret
.not_dr:
    lea ecx, [rsi - Register_Star]
    cmp ecx, 4
    ja .not_syscall
    lea r9d, [context.star + rcx * 8]
    clc
    ret
.not_syscall:
    mov r9d, context.dr6
    cmp esi, Register_Dr6
    je .yes
    mov r9d, context.cr2
    cmp esi, Register_Cr2
    je .yes
    mov r9d, context.xcr0
    cmp esi, Register_Xcr0
    je .yes
    stc
    ret
.yes:
    clc
    ret

; In: RDI guest block, ESI field, RDX value  Out: EAX 1, or 0 refused  Clobbers: RCX RDX RSI RDI R8 R9 R10
field_write:
    push r12
    push rbx
    mov r12, rdi
    mov rbx, rdx
    cmp esi, ExitField_NmiWindow
    ja .refused
    cmp esi, Register_Rsp
    je .vendor
    cmp esi, Register_Rip
    jb .gpr
    je .rip
    movzx ecx, byte [rules + rsi]
    jmp [rule_code + rcx * 8]
.gpr:
    mov rax, [r12 + guest.region]
    mov [rax + rsi * 8], rbx
    jmp .accepted
.rip:
    mov rax, [r12 + guest.region]
    mov [rax + VcpuRecord_Rip], rbx
    jmp .accepted

.low32:                                         ; bits 63:32 are reserved
    mov rax, rbx
    shr rax, 32
    jnz .refused
    jmp .vendor
.canonical:
    mov rax, rbx
    sar rax, 47
    inc rax
    cmp rax, 1
    ja .refused
    ; fall through
.vendor:
    mov rdx, rbx
    push rsi
    call [vendor_write]
    pop rsi
    jnc .accepted
    call page_of
    jc .refused
    push r9
    call context_drop                           ; and it is loaded again before the next entry
    pop r9
    mov rax, [r12 + guest.context]
    mov [rax + r9], rbx
.accepted:
    mov dword [gs:pc.attention], 1
    mov eax, 1
    pop rbx
    pop r12
    ret
.refused:
    xor eax, eax
    pop rbx
    pop r12
    ret
.rflags:
    and ebx, 0x3F7FD7                           ; defined bits; bit 1 is always set
    or ebx, 2
    jmp .vendor
.dr7:
    mov rax, rbx
    shr rax, 32
    jnz .refused
    or ebx, 0x400
    and ebx, ~0xD000
    jmp .vendor
.dr6:
    mov rax, rbx
    shr rax, 32
    jnz .refused
    or ebx, 0xFFFF0FF0                          ; SDM vol. 3, 18.2.3: reserved bits are ones
    and ebx, ~0x1000
    jmp .vendor
.cr8:
    cmp rbx, 15
    ja .refused
    jmp .vendor
.xcr0:                                          ; x87 always; AVX needs SSE (SDM vol. 1, 13.3)
    test bl, 1
    jz .refused
    mov rax, [host_xcr0]
    not rax
    test rbx, rax
    jnz .refused
    mov eax, ebx
    and eax, 6
    cmp eax, 4
    je .refused
    jmp .vendor
.pat:                                           ; eight memory types of 0 1 4 5 6 7 (SDM vol. 3, 12.12.2)
    mov rax, rbx
    mov ecx, 8
.pat_byte:
    cmp al, 7
    ja .refused
    mov dl, al
    and dl, ~1
    cmp dl, 2
    je .refused
    shr rax, 8
    loop .pat_byte
    jmp .vendor
.tsc:
    RDTSC64
    call guest_ticks
    sub rbx, rax
    mov [r12 + guest.tsc_offset], rbx
    mov rdx, rbx
    call [vendor_set_tsc_offset]
    jmp .accepted
.inject:
    bt ebx, 31
    jnc .inject_none
    mov eax, ebx
    and eax, 0x7FFFF000                         ; reserved
    jnz .refused
    mov eax, ebx
    shr eax, 8
    and eax, 7
    bt ebx, 11
    jc .with_error
    cmp eax, 1                                  ; types 0, 2, 3, 4
    je .refused
    cmp eax, 4
    ja .refused
    cmp eax, 2
    jne .not_nmi
    cmp bl, 2
    jne .refused
.not_nmi:
    cmp eax, 3
    jne .inject_some
    cmp bl, 31
    ja .refused
    jmp .inject_some
.with_error:                                    ; only exceptions that have one
    cmp eax, 3
    jne .refused
    cmp bl, 31
    ja .refused
    movzx eax, bl
    mov ecx, 1 << 8 | 0x1F << 10 | 1 << 17 | 1 << 21 | 1 << 29 | 1 << 30
    bt ecx, eax
    jnc .refused
.inject_some:
    inc qword [r12 + guest.injected]
    inc qword [gs:pc.injected]
.inject_none:
    jmp .vendor_quick
.flag:                                          ; 0 or 1
    cmp rbx, 1
    ja .refused
.vendor_quick:                                  ; nothing that the run loop must look at
    mov rdx, rbx
    call [vendor_write]
    jc .refused
    mov eax, 1
    pop rbx
    pop r12
    ret

; --- control registers: one rule for both vendors (SDM vol. 3, 2.5, 4.1; APM vol. 2, 3.1, 14.6) -------------------------
.cr0:
    mov rax, rbx
    shr rax, 32
    jnz .refused
    mov eax, ebx
    and eax, CR0_PG | CR0_PE
    cmp eax, CR0_PG                             ; paging without protection
    je .refused
    mov eax, ebx
    shr eax, 29
    and eax, 3
    cmp eax, 1                                  ; NW without CD
    je .refused
    or ebx, 0x10                                ; ET
    call .read_efer
    mov r8, rax
    test ebx, CR0_PG
    jz .not_long
    test r8d, EFER_LME
    jz .not_long
    call .read_cr4
    test eax, CR4_PAE
    jz .refused
    or r8d, EFER_LMA
    jmp .cr0_set
.not_long:
    and r8d, ~EFER_LMA
.cr0_set:
    mov rdx, rbx
    call [vendor_set_cr0]
    mov rdx, r8
    call [vendor_set_efer]
    jmp .pdptes
.cr3:
    mov rax, rbx
    shr rax, 52
    jnz .refused
    mov rdx, rbx
    call [vendor_set_cr3]
    jmp .pdptes
.cr4:
    mov rax, [cr4_backed]
    not rax
    test rbx, rax
    jnz .refused
    call .read_efer
    test eax, EFER_LMA
    jnz .cr4_long
    bt ebx, 17                                  ; PCIDE outside of long mode
    jc .refused
    jmp .cr4_set
.cr4_long:
    test ebx, CR4_PAE
    jz .refused
.cr4_set:
    mov rdx, rbx
    call [vendor_set_cr4]
    jmp .pdptes
.efer:
    mov rax, ~EFER_GUEST
    test rbx, rax
    jnz .refused
    call .read_efer
    mov r8, rax
    call .read_cr0
    and ebx, ~EFER_LMA
    test eax, CR0_PG
    jz .efer_set
    mov ecx, r8d
    xor ecx, ebx
    test ecx, EFER_LME                          ; LME while paging is on
    jnz .refused
    test ebx, EFER_LME
    jz .efer_set
    or ebx, EFER_LMA
.efer_set:
    mov rdx, rbx
    call [vendor_set_efer]
    jmp .accepted

; with PAE paging and not in long mode the CPU has copies of the four PDPTEs; they follow CR0, CR3 and CR4
.pdptes:
    call .read_cr0
    test eax, CR0_PG
    jz .accepted
    call .read_cr4
    test eax, CR4_PAE
    jz .accepted
    call .read_efer
    test eax, EFER_LMA
    jnz .accepted
    mov esi, Register_Cr3
    call [vendor_read]
    and eax, ~31
    lea rcx, [rax + 32]
    cmp rcx, [r12 + guest.ram_bytes]
    ja .accepted                                ; entry then uses what was there; the guest faults on its own table
    add rax, [r12 + guest.ram]
    mov rbx, rax
    xor esi, esi
.pdpte:
    mov rdx, [rbx + rsi * 8]
    call [vendor_set_pdpte]
    inc esi
    cmp esi, 4
    jb .pdpte
    jmp .accepted

.read_cr0:
    mov esi, Register_Cr0
    jmp [vendor_read]
.read_cr4:
    mov esi, Register_Cr4
    jmp [vendor_read]
.read_efer:
    mov esi, Register_Efer
    jmp [vendor_read]

section .rodata
; the rule of each field, by number
%assign R_REFUSED 0
%assign R_VENDOR 1
%assign R_LOW32 2
%assign R_CANONICAL 3
%assign R_RFLAGS 4
%assign R_CR0 5
%assign R_CR3 6
%assign R_CR4 7
%assign R_CR8 8
%assign R_EFER 9
%assign R_XCR0 10
%assign R_DR6 11
%assign R_DR7 12
%assign R_PAT 13
%assign R_TSC 14
%assign R_FLAG 15
%assign R_INJECT 16
align 8
rule_code:
    dq field_write.refused, field_write.vendor, field_write.low32, field_write.canonical, field_write.rflags, field_write.cr0, field_write.cr3
    dq field_write.cr4, field_write.cr8, field_write.efer, field_write.xcr0, field_write.dr6, field_write.dr7, field_write.pat, field_write.tsc
    dq field_write.flag, field_write.inject
%macro RULE 2                                   ; field, rule; fields in between are refused
    times (%1 - ($ - rules)) db R_REFUSED
    db %2
%endmacro
%macro RULES 3                                  ; first, last, rule
    times (%1 - ($ - rules)) db R_REFUSED
    times (%2 - %1 + 1) db %3
%endmacro
rules:
    RULE Register_Rflags, R_RFLAGS
    RULE Register_Cr0, R_CR0
    RULE Register_Cr2, R_VENDOR
    RULE Register_Cr3, R_CR3
    RULE Register_Cr4, R_CR4
    RULE Register_Cr8, R_CR8
    RULE Register_Efer, R_EFER
    RULE Register_Xcr0, R_XCR0
    RULES Register_EsSelector, Register_IdtrLimit, R_VENDOR
    RULES Register_Dr0, Register_Dr3, R_VENDOR
    RULE Register_Dr6, R_DR6
    RULE Register_Dr7, R_DR7
    RULE Register_Star, R_VENDOR
    RULE Register_Lstar, R_CANONICAL
    RULE Register_Cstar, R_CANONICAL
    RULE Register_Sfmask, R_LOW32
    RULE Register_KernelGsBase, R_CANONICAL
    RULE Register_SysenterCs, R_LOW32
    RULE Register_SysenterEsp, R_CANONICAL
    RULE Register_SysenterEip, R_CANONICAL
    RULE Register_Pat, R_PAT
    RULE Register_Tsc, R_TSC
    RULE Register_InterruptShadow, R_FLAG
    RULE Register_NmiBlocked, R_FLAG
    RULE Register_PendingDebug, R_LOW32
    RULE ExitField_Inject, R_INJECT
    RULES ExitField_InjectLength, ExitField_InjectLength, R_LOW32
    RULES ExitField_InterruptWindow, ExitField_NmiWindow, R_FLAG
