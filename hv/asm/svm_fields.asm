; AMD SVM: the VMCB behind the neutral fields. fields.asm has checked what comes here. vmx_fields.asm mirrors this file.
%include "hv.inc"
%include "vmcb.inc"

global svm_read, svm_write, svm_set_cr0, svm_set_cr3, svm_set_cr4, svm_set_efer, svm_set_tsc_offset, svm_set_pdpte
extern svm_keep, svm_next_rip

CR0_WRITES      equ 1 << 16                     ; in INTERCEPT_CR; set means: the guest's LME is withheld from the VMCB

section .text

; Register and ExitField -> VMCB offset and width. 0 means: not here (fields.asm has it, or nobody).
; In: ESI field, R12 guest block  Out: CF=1 not here; RAX  Clobbers: RCX
svm_read:
    mov ecx, [vmcb_of + rsi * 4]
    test ecx, ecx
    jz .special
    mov rax, [r12 + guest.vcb]
    bt ecx, 31
    movzx ecx, cx
    jc .word
    bt dword [vmcb_of + rsi * 4], 30
    jc .dword
    mov rax, [rax + rcx]
    clc
    ret
.dword:
    mov eax, [rax + rcx]
    clc
    ret
.word:
    movzx eax, word [rax + rcx]
    call is_attributes
    jne .plain
    ; VMCB form: 7:0 as in the descriptor, then AVL L D/B G at 11:8; not present is "unusable"
    mov ecx, eax
    and eax, 0xFF
    and ecx, 0xF00
    shl ecx, 4
    or eax, ecx
    test al, 0x80
    jnz .plain
    or eax, 0x10000
.plain:
    clc
    ret
.special:
    mov rcx, [r12 + guest.vcb]
    cmp esi, Register_Cr8
    je .cr8
    cmp esi, Register_InterruptShadow
    je .shadow
    cmp esi, Register_NmiBlocked
    je .nmi
    cmp esi, ExitField_InterruptWindow
    je .window
    cmp esi, ExitField_NmiWindow
    je .nmi
    cmp esi, Register_Efer
    je .efer
    cmp esi, Register_PendingDebug
    je .none
    cmp esi, ExitField_Vectoring
    je .vectoring
    cmp esi, ExitField_Inject
    je .inject
    cmp esi, Register_Dr7
    je .dr7
    stc
    ret
.dr7:                                           ; the debugger's is in use, or the guest's own
    mov rax, [r12 + guest.own_dr7]
    test byte [r12 + guest.debug], DebugFlag_Hardware
    jnz .done
    mov rax, [rcx + VMCB_DR7]
.done:
    ret
.none:
    xor eax, eax
    ret
.efer:
    mov rax, [rcx + VMCB_EFER]
    and rax, ~EFER_SVME
    test dword [rcx + INTERCEPT_CR], CR0_WRITES
    jz .done
    or eax, EFER_LME
    ret
.cr8:
    mov eax, [rcx + V_INTR]
    and eax, 15
    ret
.shadow:
    mov eax, [rcx + INTERRUPT_SHADOW]
    and eax, 1
    ret
.nmi:                                           ; the IRET of an NMI handler is awaited
    mov eax, [rcx + INTERCEPT_1]
    shr eax, 20
    and eax, 1
    ret
.window:                                        ; asked for; V_IRQ waits for the end of a shadow (svm.asm)
    mov eax, [rcx + INTERCEPT_1]
    shr eax, 4
    and eax, 1
    ret
.vectoring:
    mov eax, [rcx + EXITINTINFO]
    clc
    ret
.inject:
    mov rax, [rcx + EVENTINJ]
    clc
    ret

; EQ: ESI is a segment's attributes. Clobbers: -
is_attributes:
    push rax
    lea eax, [rsi - Register_EsAttributes]
    cmp eax, Register_TrAttributes - Register_EsAttributes
    ja .no
    test al, 3                                  ; ZF: every fourth
.no:
    pop rax
    ret

; Writes what fields.asm has let through. In: ESI field, RDX value, R12 guest block  Out: CF=1 not here  Clobbers: RAX RCX
svm_write:
    cmp esi, Register_Count                     ; what an exit left is read only
    jae .special
    mov ecx, [vmcb_of + rsi * 4]
    test ecx, ecx
    jz .special
    mov rax, [r12 + guest.vcb]
    bt ecx, 31
    movzx ecx, cx
    jc .word
    bt dword [vmcb_of + rsi * 4], 30
    jc .dword
    mov [rax + rcx], rdx
    jmp .kept
.dword:
    mov [rax + rcx], edx
.kept:
    call svm_keep
    clc
    ret
.word:
    call is_attributes
    jne .store
    push rdx
    push rcx
    mov ecx, edx
    and edx, 0xFF
    shr ecx, 4
    and ecx, 0xF00
    or edx, ecx
    test dword [rsp + 8], 0x10000
    jz .usable
    and edx, ~0x80
.usable:
    pop rcx
    mov [rax + rcx], dx
    cmp esi, Register_SsAttributes
    jne .attributes_done
    shr edx, 5                                  ; the CPL is SS's DPL, and has a place of its own
    and edx, 3
    mov [rax + VMCB_CPL], dl
.attributes_done:
    pop rdx
    jmp .kept
.store:
    mov [rax + rcx], dx
    jmp .kept
.special:
    mov rcx, [r12 + guest.vcb]
    cmp esi, Register_Cr8
    je .cr8
    cmp esi, Register_InterruptShadow
    je .shadow
    cmp esi, Register_NmiBlocked
    je .nmi
    cmp esi, ExitField_InterruptWindow
    je .window
    cmp esi, ExitField_NmiWindow
    je .accepted                                ; blocked NMIs are over at the IRET that is intercepted anyway
    cmp esi, ExitField_Inject
    je .inject
    cmp esi, ExitField_InjectLength
    je .accepted
    cmp esi, Register_PendingDebug
    je .pending
    cmp esi, Register_Dr7
    je .dr7
    stc
    ret
.dr7:
    test byte [r12 + guest.debug], DebugFlag_Hardware
    jnz .dr7_own
    mov [rcx + VMCB_DR7], rdx
    ret
.dr7_own:
    mov [r12 + guest.own_dr7], rdx
    ret
.cr8:
    mov [rcx + V_INTR], dl
    clc
    ret
.shadow:
    and edx, 1
    mov [rcx + INTERRUPT_SHADOW], edx
    clc
    ret
.nmi:
    and dword [rcx + INTERCEPT_1], ~WANT_1_IRET
    test edx, edx
    jz .accepted
    or dword [rcx + INTERCEPT_1], WANT_1_IRET
.accepted:
    clc
    ret
.pending:
    test rdx, rdx                               ; SVM has none: only 0
    jz .accepted
    stc
    ret
.window:
    and dword [rcx + INTERCEPT_1], ~WANT_1_VINTR
    and dword [rcx + V_INTR], ~(1 << 8)
    test edx, edx
    jz .accepted
    or dword [rcx + INTERCEPT_1], WANT_1_VINTR
    or dword [rcx + V_INTR], 1 << 8
    clc
    ret
.inject:
    mov [rcx + EVENTINJ], rdx
    and edx, 0x700
    cmp edx, 2 << 8
    jne .accepted
    or dword [rcx + INTERCEPT_1], WANT_1_IRET   ; an NMI blocks NMIs until its IRET
    clc
    ret

; In: RDX CR0 as the guest shall see it  Clobbers: RAX RCX
svm_set_cr0:
    mov rax, [r12 + guest.vcb]
    mov [rax + VMCB_CR0], rdx
    jmp svm_keep

svm_set_cr3:
    mov rax, [r12 + guest.vcb]
    mov [rax + VMCB_CR3], rdx
    jmp svm_keep

svm_set_cr4:
    mov rax, [r12 + guest.vcb]
    mov [rax + VMCB_CR4], rdx
    mov rcx, rax
    call svm_read.efer                          ; what becomes of LME hangs on PAE
    mov edx, eax
    ; fall through

; In: RDX EFER, its LMA right. VMRUN wants SVME (15.5.1)  Clobbers: RAX RCX RDX
; QEMU (7.2; a CPU without NRIPS) loads the host's CR0 at an exit while CR4 and EFER are still the guest's, and gives up where these two do not
; allow paging: with LME and without PAE the host would go on with its paging off, and die. So the VMCB has LME only with PAE. Until
; then paging cannot be turned on, and a MOV to CR0 exits: fields.asm refuses what the CPU would.
svm_set_efer:
    mov rax, [r12 + guest.vcb]
    or edx, EFER_SVME
    and dword [rax + INTERCEPT_CR], ~CR0_WRITES
    cmp dword [svm_next_rip], 0
    jne .whole
    test byte [rax + VMCB_CR4], CR4_PAE
    jnz .whole
    btr edx, 8                                  ; LME
    jnc .whole
    or dword [rax + INTERCEPT_CR], CR0_WRITES
.whole:
    mov [rax + VMCB_EFER], rdx
    jmp svm_keep

; In: RDX offset
svm_set_tsc_offset:
    mov rax, [r12 + guest.vcb]
    mov [rax + VMCB_TSC_OFFSET], rdx
; PDPTEs are read from memory at each use under nested paging (15.25.10)
svm_set_pdpte:
    ret

section .rodata
align 4
; by Register and ExitField number: offset, bit 31 for 16 bits, bit 30 for 32, else 64
W16             equ 1 << 31
W32             equ 1 << 30
%macro FIELD 2
    times (%1 - ($ - vmcb_of) / 4) dd 0
    dd %2
%endmacro
%macro SEGMENT_FIELDS 2                         ; first Register of four, name
    FIELD %1, VMCB_ %+ %2 | W16
    FIELD %1 + 1, VMCB_ %+ %2 + 8
    FIELD %1 + 2, VMCB_ %+ %2 + 4 | W32
    FIELD %1 + 3, VMCB_ %+ %2 + 2 | W16
%endmacro
vmcb_of:
    FIELD Register_Rsp, VMCB_RSP
    FIELD Register_Rflags, VMCB_RFLAGS
    FIELD Register_Cr0, VMCB_CR0
    FIELD Register_Cr2, VMCB_CR2
    FIELD Register_Cr3, VMCB_CR3
    FIELD Register_Cr4, VMCB_CR4
    SEGMENT_FIELDS Register_EsSelector, ES
    SEGMENT_FIELDS Register_CsSelector, CS
    SEGMENT_FIELDS Register_SsSelector, SS
    SEGMENT_FIELDS Register_DsSelector, DS
    SEGMENT_FIELDS Register_FsSelector, FS
    SEGMENT_FIELDS Register_GsSelector, GS
    SEGMENT_FIELDS Register_LdtrSelector, LDTR
    SEGMENT_FIELDS Register_TrSelector, TR
    FIELD Register_GdtrBase, VMCB_GDTR + 8
    FIELD Register_GdtrLimit, VMCB_GDTR + 4 | W32
    FIELD Register_IdtrBase, VMCB_IDTR + 8
    FIELD Register_IdtrLimit, VMCB_IDTR + 4 | W32
    FIELD Register_Dr6, VMCB_DR6
    FIELD Register_Star, VMCB_STAR
    FIELD Register_Lstar, VMCB_LSTAR
    FIELD Register_Cstar, VMCB_CSTAR
    FIELD Register_Sfmask, VMCB_SFMASK
    FIELD Register_KernelGsBase, VMCB_KERNEL_GS
    FIELD Register_SysenterCs, VMCB_SYSENTER_CS
    FIELD Register_SysenterEsp, VMCB_SYSENTER_ESP
    FIELD Register_SysenterEip, VMCB_SYSENTER_EIP
    FIELD Register_Pat, VMCB_PAT
    FIELD ExitField_Qualification, EXITINFO1
    FIELD ExitField_Info2, EXITINFO2
    FIELD ExitField_VectoringError, (EXITINTINFO + 4) | W32
    times (ExitField_NmiWindow + 1 - ($ - vmcb_of) / 4) dd 0
