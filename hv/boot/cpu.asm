; What the CPU must have. cpu_check chooses the vendor by what is there, looks at every control that hvkit uses, and says nothing when
; all is well. When one is missing it prints the whole list, a line a control, and stops the machine:
;
;   hvkit: cpu: EPT MISSING
;   hvkit: stop: no usable hardware virtualization
;
; Each row of a table names a bit of a source; the sources are read once, each only where the CPU says that it exists, since
; there is no IDT yet. SDM vol. 3, appendix A and 24.7; APM vol. 2, 15.4, 15.30.1 and appendix B.

%include "boot.inc"
%include "protocol.inc"
bits 64
default rel

extern early_putc, early_puts, early_stop
global cpu_check, boot_vendor

CPUID_VMX equ 5                                 ; CPUID.1:ECX
CPUID_SVM equ 2                                 ; CPUID.80000001h:ECX

MSR_FEATURE_CONTROL equ 0x3A
MSR_VMX_BASIC       equ 0x480
MSR_VMX_PROC2       equ 0x48B
MSR_VMX_EPT_VPID    equ 0x48C
MSR_VM_CR           equ 0xC0010114

; sources: u32 each, in cpu_sources
struc source
.basic_c     resd 1                             ; CPUID.1:ECX
.basic_d     resd 1                             ; CPUID.1:EDX
.extended_d  resd 1                             ; CPUID.80000001h:EDX
.vendor      resd 1                             ; bit 0: VMX or SVM
.firmware    resd 1                             ; bit 0: the firmware allows it
.vmx         resd 1                             ; IA32_VMX_BASIC, high half
.pin         resd 1                             ; allowed-1 halves of the capability MSRs
.proc        resd 1
.proc2       resd 1
.exit        resd 1
.entry       resd 1
.ept         resd 1                             ; IA32_VMX_EPT_VPID_CAP, low half
.svm         resd 1                             ; CPUID.8000000Ah:EDX
.bytes:
endstruc

; A table: rows of source, bit, flags, name length, then the names in the same line; 0FFh ends it.
; flags: what its absence means, an index into absent_texts
NEEDED     equ 0
OPTIONAL   equ 1
VMX_LOCKED equ 2
SVM_LOCKED equ 3

%macro ROW 4                                    ; source, bit, flags, name
    db source.%1, %2, %3, %%end - %%name
%%name:
    db %4
%%end:
%endmacro

section .text

; Clobbers: RAX, RBX, RCX, RDX, RSI, RDI, R8 to R13.
cpu_check:
    lea r12, [cpu_sources]
    call read_cpuid
    mov eax, [r12 + source.basic_c]
    bt eax, CPUID_VMX
    jc .vmx
    bt r13d, CPUID_SVM
    jc .svm
    lea r13, [no_table]
    jmp .look
.vmx:
    mov dword [boot_vendor], Vendor_Vmx
    call read_vmx
    lea r13, [vmx_table]
    jmp .look
.svm:
    mov dword [boot_vendor], Vendor_Svm
    call read_svm
    lea r13, [svm_table]

.look:
    xor r11d, r11d                              ; needed ones that are missing
    lea rsi, [common_table]
    call count_missing
    mov rsi, r13
    call count_missing
    test r11d, r11d
    jz .good
    xor eax, eax
    call early_putc
    lea rsi, [common_table]
    call print_table
    mov rsi, r13
    call print_table
    lea rsi, [stop_text]
    call early_puts
    call early_putc                             ; AL is 0 since print_table
    jmp early_stop
.good:
    ret

; R12 -> cpu_sources; R13D: CPUID.80000001h:ECX. Clobbers: RAX, RBX, RCX, RDX.
read_cpuid:
    mov eax, 1
    cpuid
    mov [r12 + source.basic_c], ecx
    mov [r12 + source.basic_d], edx
    mov eax, 0x80000001
    cpuid
    mov [r12 + source.extended_d], edx
    mov r13d, ecx
    mov eax, [r12 + source.basic_c]
    shr eax, CPUID_VMX
    shr ecx, CPUID_SVM
    or eax, ecx
    and eax, 1
    mov [r12 + source.vendor], eax
    ret

; Clobbers: RAX, RCX, RDX, RSI, R8.
read_vmx:
    mov ecx, MSR_FEATURE_CONTROL
    rdmsr
    test al, 1                                  ; locked
    jnz .locked
    or eax, 5                                   ; VMX outside SMX; lock it, as VMXON wants it (24.7)
    wrmsr
.locked:
    shr eax, 2
    and eax, 1
    mov [r12 + source.firmware], eax
    mov ecx, MSR_VMX_BASIC
    rdmsr
    mov [r12 + source.vmx], edx
    bt edx, 55 - 32
    ; 481h pin, 482h proc, 483h exit, 484h entry; their TRUE forms lie 12 further on. The allowed-1 halves agree.
    sbb r8d, r8d
    and r8d, 12
    add r8d, 0x481
    mov ecx, r8d
    rdmsr
    mov [r12 + source.pin], edx
    lea ecx, [r8 + 1]
    rdmsr
    mov [r12 + source.proc], edx
    mov esi, edx
    lea ecx, [r8 + 2]
    rdmsr
    mov [r12 + source.exit], edx
    lea ecx, [r8 + 3]
    rdmsr
    mov [r12 + source.entry], edx
    test esi, esi
    jns .done                                   ; no secondary controls (bit 31), so neither MSR of them
    mov ecx, MSR_VMX_PROC2
    rdmsr
    mov [r12 + source.proc2], edx
    test edx, 1 << 1 | 1 << 5                   ; EPT or VPID: the MSR with their capabilities is there
    jz .done
    mov ecx, MSR_VMX_EPT_VPID
    rdmsr
    mov [r12 + source.ept], eax
.done:
    ret

; Clobbers: RAX, RBX, RCX, RDX.
read_svm:
    mov ecx, MSR_VM_CR
    rdmsr
    shr eax, 4                                  ; SVMDIS
    not eax
    and eax, 1
    mov [r12 + source.firmware], eax
    mov eax, 0x8000000A
    cpuid
    mov [r12 + source.svm], edx
    ret

; RSI -> a table's row -> EAX: its flags; CF: the CPU has it; RDI -> the name, ECX its length; RSI -> the next row.
; ZF and nothing else: it was the end. Clobbers: RDX.
next_row:
    movzx edx, byte [rsi]
    cmp dl, 0xFF
    je .end
    mov edx, [r12 + rdx]
    movzx eax, byte [rsi + 1]
    movzx ecx, byte [rsi + 3]
    lea rdi, [rsi + 4]
    lea rsi, [rdi + rcx]
    bt edx, eax                                 ; leaves ZF, which `cmp` cleared
    movzx eax, byte [rdi - 2]
.end:
    ret

; Adds the table's missing rows that are needed to R11D. Clobbers: RAX, RCX, RDX, RSI, RDI.
count_missing:
    call next_row
    je .done
    jc count_missing
    cmp al, OPTIONAL
    je count_missing
    inc r11d
    jmp count_missing
.done:
    ret

; RSI -> a table: a line for each row. Clobbers: RAX, RBX, RCX, RDX, RSI, RDI.
print_table:
    call next_row
    je .done
    lea rbx, [ok_text]
    jc .chosen
    lea rbx, [absent_texts]
    mov rbx, [rbx + rax * 8]
.chosen:
    push rsi
    lea rsi, [cpu_text]
    call early_puts
.name:
    mov al, [rdi]
    call early_putc
    inc rdi
    dec ecx
    jnz .name
    mov rsi, rbx
    call early_puts
    pop rsi
    jmp print_table
.done:
    xor eax, eax
    ret

section .rodata
cpu_text:      db "hvkit: cpu: ", 0
ok_text:       db " ok", 13, 10, 0
missing_text:  db " MISSING", 13, 10, 0
optional_text: db " no (optional)", 13, 10, 0
vmx_locked_text: db ": locked with VMX off by the firmware MISSING", 13, 10, 0
svm_locked_text: db ": locked with SVM off by the firmware MISSING", 13, 10, 0
stop_text:     db "hvkit: stop: no usable hardware virtualization", 13, 10, 0

align 8
absent_texts: dq missing_text, optional_text, vmx_locked_text, svm_locked_text

common_table:
    ROW extended_d, 29, NEEDED, "long mode"
    ROW extended_d, 20, NEEDED, "NX"
    ROW basic_d,     4, NEEDED, "TSC"
    ROW basic_d,     5, NEEDED, "RDMSR and WRMSR"
    ROW basic_d,     3, NEEDED, "2 MB pages"
    ROW basic_d,     9, NEEDED, "local APIC"
    ROW basic_d,    24, NEEDED, "FXSAVE and FXRSTOR"
    ROW basic_d,    26, NEEDED, "SSE2"
    ROW basic_c,    20, NEEDED, "SSE4.2"        ; CRC32, for the link's frames
    db 0xFF

no_table:
    ROW vendor,      0, NEEDED, "VMX or SVM"
    db 0xFF

vmx_table:
    ROW vendor,      0, NEEDED, "VMX"
    ROW firmware,    0, VMX_LOCKED, "IA32_FEATURE_CONTROL"
    ROW vmx,   55 - 32, NEEDED, "TRUE capability MSRs"
    ROW pin,         0, NEEDED, "external-interrupt exiting"
    ROW pin,         3, NEEDED, "NMI exiting"
    ROW pin,         5, NEEDED, "virtual NMIs"
    ROW pin,         6, OPTIONAL, "preemption timer"
    ROW proc,        2, NEEDED, "interrupt-window exiting"
    ROW proc,        3, NEEDED, "TSC offsetting"
    ROW proc,        7, NEEDED, "HLT exiting"
    ROW proc,       10, NEEDED, "MWAIT exiting"
    ROW proc,       11, NEEDED, "RDPMC exiting"
    ROW proc,       19, NEEDED, "CR8-load exiting"
    ROW proc,       20, NEEDED, "CR8-store exiting"
    ROW proc,       24, NEEDED, "unconditional I/O exiting"
    ROW proc,       28, NEEDED, "MSR bitmaps"
    ROW proc,       29, NEEDED, "MONITOR exiting"
    ROW proc,       31, NEEDED, "secondary controls"
    ROW proc2,       1, NEEDED, "EPT"
    ROW proc2,       7, NEEDED, "unrestricted guest"
    ROW proc2,       6, NEEDED, "WBINVD exiting"
    ROW proc2,       5, OPTIONAL, "VPID"
    ROW proc2,      25, OPTIONAL, "TSC scaling"
    ROW ept,         6, NEEDED, "EPT 4-level walk"
    ROW ept,        14, NEEDED, "EPT write-back"
    ROW ept,        16, NEEDED, "EPT 2 MB pages"
    ROW ept,        20, NEEDED, "INVEPT"
    ROW ept,        26, NEEDED, "INVEPT, all contexts"
    ROW exit,        2, NEEDED, "save debug controls"
    ROW exit,        9, NEEDED, "64-bit host"
    ROW exit,       18, NEEDED, "save IA32_PAT"
    ROW exit,       19, NEEDED, "load host IA32_PAT"
    ROW exit,       20, NEEDED, "save IA32_EFER"
    ROW exit,       21, NEEDED, "load host IA32_EFER"
    ROW entry,       2, NEEDED, "load debug controls"
    ROW entry,       9, NEEDED, "IA-32e mode guest"
    ROW entry,      14, NEEDED, "load guest IA32_PAT"
    ROW entry,      15, NEEDED, "load guest IA32_EFER"
    db 0xFF

svm_table:
    ROW vendor,      0, NEEDED, "SVM"
    ROW firmware,    0, SVM_LOCKED, "VM_CR"
    ROW svm,         0, NEEDED, "nested paging"
    ROW svm,         3, OPTIONAL, "next RIP"
    ROW svm,         7, OPTIONAL, "decode assists"
    ROW svm,        16, OPTIONAL, "virtual GIF"
    db 0xFF

section .data
align 4
boot_vendor: dd Vendor_None

section .bss nobits alloc write align=4
cpu_sources: resb source.bytes
