; Intel VMX: a guest's VMCS, and what of the CPU an entry's checks depend on, by the numbers of protocol/vcb.ts. Read only: for hv/explain,
; off the exit path. svm_state.asm mirrors this file.
%include "hv.inc"
%include "vmcs.inc"

global vmx_state, vmx_state_fields
extern vmx_select

CAPABILITY      equ 0x8000                      ; in the table: an MSR, and not a VMCS field
FIRST_MSR       equ 0x480
OWN_ADDRESS     equ 0xFFFE
ADDRESS_BITS    equ 0xFFFF

section .text

; In: ESI field, R12 guest block  Out: RAX; 0: unknown, or this CPU has none  Clobbers: RCX RDX
vmx_state:
    xor eax, eax
    cmp esi, VmxField_Count
    jae .done
    movzx ecx, word [vmx_state_fields + rsi * 2]
    mov rax, [r12 + guest.vcb_pa]
    cmp ecx, OWN_ADDRESS
    je .done
    ja .bits
    bt ecx, 15
    jc .msr
    call vmx_select
    xor eax, eax
    vmread rdx, rcx
    cmova rax, rdx                              ; CF or ZF: the CPU lacks the field
.done:
    ret
.msr:
    add ecx, FIRST_MSR - CAPABILITY
    rdmsr
    shl rdx, 32
    or rax, rdx
    ret
.bits:
    push rbx
    mov eax, 0x80000008
    cpuid
    pop rbx
    ret

section .rodata
align 2
%macro FIELD 2                                  ; VmxField, VMCS field
    times (VmxField_%1 - ($ - vmx_state_fields) / 2) dw 0
    dw %2
%endmacro
%macro MSR 2
    FIELD %1, CAPABILITY + %2 - FIRST_MSR
%endmacro
%macro SEGMENT 2
    FIELD %1Selector, GUEST_ %+ %2
    FIELD %1Base, GUEST_ %+ %2 %+ _BASE
    FIELD %1Limit, GUEST_ %+ %2 %+ _LIMIT
    FIELD %1Access, GUEST_ %+ %2 %+ _ACCESS
%endmacro
vmx_state_fields:
    FIELD PinControls, PIN_CONTROLS
    FIELD PrimaryControls, PRIMARY_CONTROLS
    FIELD SecondaryControls, SECONDARY_CONTROLS
    FIELD ExceptionBitmap, EXCEPTION_BITMAP
    FIELD Cr3TargetCount, CR3_TARGETS
    FIELD Vpid, VPID
    FIELD TprThreshold, TPR_THRESHOLD
    FIELD PostedVector, POSTED_VECTOR
    FIELD IoBitmapA, IO_BITMAP_A
    FIELD IoBitmapB, IO_BITMAP_B
    FIELD MsrBitmap, MSR_BITMAP
    FIELD VirtualApic, VIRTUAL_APIC
    FIELD ApicAccess, APIC_ACCESS
    FIELD PostedDescriptor, POSTED_DESCRIPTOR
    FIELD VmFunctions, VM_FUNCTIONS
    FIELD EptPointer, EPT_POINTER
    FIELD EptpList, EPTP_LIST
    FIELD VmreadBitmap, VMREAD_BITMAP
    FIELD VmwriteBitmap, VMWRITE_BITMAP
    FIELD VirtualizationException, VE_INFORMATION
    FIELD PmlAddress, PML_ADDRESS
    FIELD TscMultiplier, TSC_MULTIPLIER
    FIELD ExitControls, EXIT_CONTROLS
    FIELD ExitStoreCount, EXIT_STORE_COUNT
    FIELD ExitStoreAddress, EXIT_STORE
    FIELD ExitLoadCount, EXIT_LOAD_COUNT
    FIELD ExitLoadAddress, EXIT_LOAD
    FIELD EntryControls, ENTRY_CONTROLS
    FIELD EntryLoadCount, ENTRY_LOAD_COUNT
    FIELD EntryLoadAddress, ENTRY_LOAD
    FIELD EntryInterruption, ENTRY_INTERRUPTION
    FIELD EntryError, ENTRY_ERROR
    FIELD EntryLength, ENTRY_LENGTH
    FIELD HostCr0, HOST_CR0
    FIELD HostCr3, HOST_CR3
    FIELD HostCr4, HOST_CR4
    FIELD HostSysenterEsp, HOST_SYSENTER_ESP
    FIELD HostSysenterEip, HOST_SYSENTER_EIP
    FIELD HostPat, HOST_PAT
    FIELD HostEfer, HOST_EFER
    FIELD HostEs, HOST_ES
    FIELD HostCs, HOST_CS
    FIELD HostSs, HOST_SS
    FIELD HostDs, HOST_DS
    FIELD HostFs, HOST_FS
    FIELD HostGs, HOST_GS
    FIELD HostTr, HOST_TR
    FIELD HostFsBase, HOST_FS_BASE
    FIELD HostGsBase, HOST_GS_BASE
    FIELD HostTrBase, HOST_TR_BASE
    FIELD HostGdtrBase, HOST_GDTR_BASE
    FIELD HostIdtrBase, HOST_IDTR_BASE
    FIELD HostRip, HOST_RIP
    FIELD GuestCr0, GUEST_CR0
    FIELD GuestCr3, GUEST_CR3
    FIELD GuestCr4, GUEST_CR4
    FIELD GuestDr7, GUEST_DR7
    FIELD GuestDebugctl, GUEST_DEBUGCTL
    FIELD GuestSysenterEsp, GUEST_SYSENTER_ESP
    FIELD GuestSysenterEip, GUEST_SYSENTER_EIP
    FIELD GuestPat, GUEST_PAT
    FIELD GuestEfer, GUEST_EFER
    SEGMENT GuestEs, ES
    SEGMENT GuestCs, CS
    SEGMENT GuestSs, SS
    SEGMENT GuestDs, DS
    SEGMENT GuestFs, FS
    SEGMENT GuestGs, GS
    SEGMENT GuestLdtr, LDTR
    SEGMENT GuestTr, TR
    FIELD GuestGdtrBase, GUEST_GDTR_BASE
    FIELD GuestIdtrBase, GUEST_IDTR_BASE
    FIELD GuestGdtrLimit, GUEST_GDTR_LIMIT
    FIELD GuestIdtrLimit, GUEST_IDTR_LIMIT
    FIELD GuestRip, GUEST_RIP
    FIELD GuestRsp, GUEST_RSP
    FIELD GuestRflags, GUEST_RFLAGS
    FIELD Activity, GUEST_ACTIVITY
    FIELD Interruptibility, GUEST_INTERRUPTIBILITY
    FIELD PendingDebug, GUEST_PENDING_DEBUG
    FIELD LinkPointer, VMCS_LINK
    FIELD Pdpte0, GUEST_PDPTE0
    FIELD Pdpte1, GUEST_PDPTE0 + 2
    FIELD Pdpte2, GUEST_PDPTE0 + 4
    FIELD Pdpte3, GUEST_PDPTE0 + 6
    FIELD ExitReason, EXIT_REASON
    FIELD Qualification, QUALIFICATION
    FIELD VmcsAddress, OWN_ADDRESS
    MSR Basic, MSR_VMX_BASIC
    MSR PinAllowed, MSR_VMX_TRUE_PIN
    MSR PrimaryAllowed, MSR_VMX_TRUE_PRIMARY
    MSR SecondaryAllowed, MSR_VMX_SECONDARY
    MSR ExitAllowed, MSR_VMX_TRUE_EXIT
    MSR EntryAllowed, MSR_VMX_TRUE_ENTRY
    MSR Misc, MSR_VMX_MISC
    MSR Cr0Fixed0, MSR_VMX_CR0_FIXED0
    MSR Cr0Fixed1, MSR_VMX_CR0_FIXED1
    MSR Cr4Fixed0, MSR_VMX_CR4_FIXED0
    MSR Cr4Fixed1, MSR_VMX_CR4_FIXED1
    MSR EptVpid, MSR_VMX_EPT_VPID
    MSR FunctionsAllowed, MSR_VMX_VMFUNC
    FIELD AddressBits, ADDRESS_BITS
%if ($ - vmx_state_fields) / 2 != VmxField_Count
%error a VmxField has no place
%endif
