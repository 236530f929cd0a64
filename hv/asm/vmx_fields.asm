; Intel VMX: the VMCS behind the neutral fields. fields.asm has checked what comes here. svm_fields.asm mirrors this file.
%include "hv.inc"
%include "vmcs.inc"

global vmx_read, vmx_write, vmx_set_cr0, vmx_set_cr3, vmx_set_cr4, vmx_set_efer, vmx_set_tsc_offset, vmx_set_pdpte
extern vmx_select, cr4_backed

PRIMARY_WINDOW  equ 1 << 2                      ; primary control: interrupt-window exiting
PRIMARY_NMI_WINDOW equ 1 << 22
ENTRY_LONG      equ 1 << 9                      ; entry control: IA-32e mode guest

section .text

; Register and ExitField -> VMCS field. 0 means: not here (fields.asm has it, or nobody).
; In: ESI field, R12 guest block  Out: CF=1 not here; RAX  Clobbers: RCX
vmx_read:
    movzx ecx, word [vmcs_of + rsi * 2]
    test ecx, ecx
    jz .special
    call vmx_select
    inc dword [gs:pc.vmcs_accesses]
    vmread rax, rcx
    clc
    ret
.special:
    cmp esi, Register_Cr0
    je .cr0
    cmp esi, Register_Cr4
    je .cr4
    cmp esi, Register_InterruptShadow
    je .shadow
    cmp esi, Register_NmiBlocked
    je .nmi
    cmp esi, ExitField_InterruptWindow
    je .window
    cmp esi, ExitField_NmiWindow
    je .nmi_window
    cmp esi, ExitField_Inject
    je .inject
    cmp esi, Register_Cr8
    je .cr8
    cmp esi, Register_Dr7
    je .dr7
    stc
    ret
.dr7:                                           ; the debugger's is in use, or the guest's own
    mov rax, [r12 + guest.own_dr7]
    test byte [r12 + guest.debug], DebugFlag_Hardware
    jnz .done
    call vmx_select
    inc dword [gs:pc.vmcs_accesses]
    mov ecx, GUEST_DR7
    vmread rax, rcx
.done:
    clc
    ret
.cr0:
    call vmx_select
    add dword [gs:pc.vmcs_accesses], 2
    mov ecx, GUEST_CR0
    vmread rax, rcx
    mov ecx, CR0_SHADOW
    vmread rcx, rcx
    and eax, ~CR0_HOST
    and ecx, CR0_HOST
    or eax, ecx
    ret
.cr4:
    call vmx_select
    inc dword [gs:pc.vmcs_accesses]
    mov ecx, GUEST_CR4
    vmread rax, rcx
    and rax, [cr4_backed]
    ret
.cr8:
    mov rax, [r12 + guest.region]
    mov rax, [rax + VcpuRecord_Cr8]
    ret
.shadow:
    call .interruptibility
    test al, 3
    setnz al
    movzx eax, al
    ret
.nmi:
    call .interruptibility
    shr eax, 3
    and eax, 1
    ret
.interruptibility:
    call vmx_select
    inc dword [gs:pc.vmcs_accesses]
    mov ecx, GUEST_INTERRUPTIBILITY
    vmread rax, rcx
    ret
.window:
    call .primary
    shr eax, 2
    and eax, 1
    ret
.nmi_window:
    call .primary
    shr eax, 22
    and eax, 1
    ret
.primary:
    call vmx_select
    inc dword [gs:pc.vmcs_accesses]
    mov ecx, PRIMARY_CONTROLS
    vmread rax, rcx
    ret
.inject:
    call vmx_select
    add dword [gs:pc.vmcs_accesses], 2
    mov ecx, ENTRY_ERROR
    vmread rax, rcx
    shl rax, 32
    mov ecx, ENTRY_INTERRUPTION
    vmread rcx, rcx
    or rax, rcx
    clc
    ret

; Writes what fields.asm has let through. In: ESI field, RDX value, R12 guest block  Out: CF=1 not here  Clobbers: RAX RCX
vmx_write:
    cmp esi, Register_Count                     ; what an exit left is read only
    jae .special
    movzx ecx, word [vmcs_of + rsi * 2]
    test ecx, ecx
    jz .special
.plain:
    call vmx_select
    inc dword [gs:pc.vmcs_accesses]
    vmwrite rcx, rdx
    clc
    ret
.special:
    cmp esi, Register_InterruptShadow
    je .shadow
    cmp esi, Register_NmiBlocked
    je .nmi
    cmp esi, ExitField_InterruptWindow
    je .window
    cmp esi, ExitField_NmiWindow
    je .nmi_window
    cmp esi, ExitField_Inject
    je .inject
    mov ecx, ENTRY_LENGTH
    cmp esi, ExitField_InjectLength
    je .plain
    cmp esi, Register_Cr8
    je .cr8
    cmp esi, Register_Dr7
    je .dr7
    stc
    ret
.dr7:
    mov ecx, GUEST_DR7
    test byte [r12 + guest.debug], DebugFlag_Hardware
    jz .plain
    mov [r12 + guest.own_dr7], rdx
    clc
    ret
.cr8:
    mov rax, [r12 + guest.region]
    mov [rax + VcpuRecord_Cr8], rdx
    clc
    ret
.shadow:
    call vmx_read.interruptibility
    and eax, ~3
    and edx, 1
    jz .shadow_done
    mov ecx, GUEST_RFLAGS                       ; by STI, which IF=0 excludes (27.3.1.5); then by MOV SS
    vmread rcx, rcx
    not ecx
    shr ecx, 9
    and ecx, 1
    shl edx, cl
.shadow_done:
    or edx, eax
    mov ecx, GUEST_INTERRUPTIBILITY
    jmp .plain
.nmi:
    call vmx_read.interruptibility
    and eax, ~8
    and edx, 1
    shl edx, 3
    or edx, eax
    mov ecx, GUEST_INTERRUPTIBILITY
    jmp .plain
.window:
    call vmx_read.primary
    and eax, ~PRIMARY_WINDOW
    and edx, 1
    shl edx, 2
    jmp .set_primary
.nmi_window:
    call vmx_read.primary
    and eax, ~PRIMARY_NMI_WINDOW
    and edx, 1
    shl edx, 22
.set_primary:
    or edx, eax
    mov ecx, PRIMARY_CONTROLS
    jmp .plain
.inject:
    call vmx_select
    add dword [gs:pc.vmcs_accesses], 2
    mov ecx, ENTRY_INTERRUPTION
    mov eax, edx
    vmwrite rcx, rax
    mov ecx, ENTRY_ERROR
    shr rdx, 32
    vmwrite rcx, rdx
    clc
    ret

; In: RDX CR0 as the guest shall see it  Clobbers: RAX RCX
vmx_set_cr0:
    call vmx_select
    add dword [gs:pc.vmcs_accesses], 2
    mov ecx, CR0_SHADOW
    vmwrite rcx, rdx
    mov rax, rdx
    and eax, ~CR0_HOST
    or eax, CR0_NE
    mov ecx, GUEST_CR0
    vmwrite rcx, rax
    ret

vmx_set_cr3:
    mov ecx, GUEST_CR3
    jmp vmx_write.plain

vmx_set_cr4:
    call vmx_select
    inc dword [gs:pc.vmcs_accesses]
    mov rax, rdx
    or eax, CR4_VMXE                            ; Bochs wants it, as the CPU does (24.8)
    mov ecx, GUEST_CR4
    vmwrite rcx, rax
    ret

; In: RDX EFER, its LMA right. "IA-32e mode guest" must be the same (27.3.1.1)
vmx_set_efer:
    call vmx_select
    add dword [gs:pc.vmcs_accesses], 3
    mov ecx, GUEST_EFER
    vmwrite rcx, rdx
    mov ecx, ENTRY_CONTROLS
    vmread rax, rcx
    and eax, ~ENTRY_LONG
    test edx, EFER_LMA
    jz .write
    or eax, ENTRY_LONG
.write:
    vmwrite rcx, rax
    ret

; In: RDX offset
vmx_set_tsc_offset:
    mov ecx, TSC_OFFSET
    jmp vmx_write.plain

; The four PDPTEs of PAE paging: entry does not load them from CR3 (27.3.2.4). In: ESI 0..3, RDX entry
vmx_set_pdpte:
    lea ecx, [GUEST_PDPTE0 + rsi * 2]
    jmp vmx_write.plain

section .rodata
align 2
; by Register and ExitField number
%macro FIELD 2                                  ; number, VMCS field
    times (%1 - ($ - vmcs_of) / 2) dw 0
    dw %2
%endmacro
%macro SEGMENT_FIELDS 2                         ; first Register of four, name
    FIELD %1, GUEST_ %+ %2
    FIELD %1 + 1, GUEST_ %+ %2 %+ _BASE
    FIELD %1 + 2, GUEST_ %+ %2 %+ _LIMIT
    FIELD %1 + 3, GUEST_ %+ %2 %+ _ACCESS
%endmacro
vmcs_of:
    FIELD Register_Rsp, GUEST_RSP
    FIELD Register_Rflags, GUEST_RFLAGS
    FIELD Register_Cr3, GUEST_CR3
    FIELD Register_Efer, GUEST_EFER
    SEGMENT_FIELDS Register_EsSelector, ES
    SEGMENT_FIELDS Register_CsSelector, CS
    SEGMENT_FIELDS Register_SsSelector, SS
    SEGMENT_FIELDS Register_DsSelector, DS
    SEGMENT_FIELDS Register_FsSelector, FS
    SEGMENT_FIELDS Register_GsSelector, GS
    SEGMENT_FIELDS Register_LdtrSelector, LDTR
    SEGMENT_FIELDS Register_TrSelector, TR
    FIELD Register_GdtrBase, GUEST_GDTR_BASE
    FIELD Register_GdtrLimit, GUEST_GDTR_LIMIT
    FIELD Register_IdtrBase, GUEST_IDTR_BASE
    FIELD Register_IdtrLimit, GUEST_IDTR_LIMIT
    FIELD Register_SysenterCs, GUEST_SYSENTER_CS
    FIELD Register_SysenterEsp, GUEST_SYSENTER_ESP
    FIELD Register_SysenterEip, GUEST_SYSENTER_EIP
    FIELD Register_Pat, GUEST_PAT
    FIELD Register_PendingDebug, GUEST_PENDING_DEBUG
    FIELD ExitField_Qualification, QUALIFICATION
    FIELD ExitField_Info2, GUEST_PHYSICAL
    FIELD ExitField_Interruption, EXIT_INTERRUPTION
    FIELD ExitField_InterruptionError, EXIT_ERROR
    FIELD ExitField_Vectoring, VECTORING
    FIELD ExitField_VectoringError, VECTORING_ERROR
    FIELD ExitField_InstructionInfo, INSTRUCTION_INFO
    FIELD ExitField_LinearAddress, GUEST_LINEAR
    times (ExitField_NmiWindow + 1 - ($ - vmcs_of) / 2) dw 0
