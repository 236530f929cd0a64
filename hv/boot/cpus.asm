; Which CPUs there are: the firmware's MADT, found by way of the RSDP and the RSDT or XSDT (ACPI 6.5, 5.2.5 to 5.2.12). Without a MADT there
; is one CPU. Runs before the final map, while the first 4 GiB can be read as they are; page 0 too, which has the EBDA's address.
;
;   boot_cpus        APIC IDs, u8 each; the place is what a CPU is called by from here on
;   boot_cpu_count   u32
;   boot_cpu         u32: the one that boots, the first. On QEMU's TCG it is the last, and runs no guests if there are others: FXRSTOR and its like on
;                    any CPU write to its hflags2, without a lock (cpu_clear_ignne in QEMU's fpu_helper.c). What the others store there
;                    is what they read, so it does no harm while nothing else changes there: CLGI, STGI, VMRUN and an exit from it do.
;
; Firmware is believed where its checksums are right. Tables above 4 GiB are not looked at, nor CPUs with APIC IDs above 255.

%include "boot.inc"
%include "protocol.inc"
bits 64
default rel

extern boot_magic, boot_info
global cpus_find, boot_cpus, boot_cpu_count, boot_cpu

EBDA_SEGMENT equ 0x40E                          ; BIOS data area
BIOS_AREA    equ 0xE0000
BIOS_END     equ 0x100000
TABLE_HEADER equ 36
TABLE_MAX    equ 0x10000                        ; longer is no RSDT or MADT
MADT_ENTRIES equ 44
MADT_APIC    equ 0                              ; entry: type, length 8, processor, APIC ID, flags: bit 0 enabled

section .text

; Clobbers: all but RSP.
cpus_find:
    mov dword [most], HostLimit_Cpus
    call on_tcg
    adc dword [most], 0
    call find
    cmp dword [most], HostLimit_Cpus
    je .done
    lea rdi, [boot_cpus]
    lea rsi, [rdi + 1]
    mov ecx, [boot_cpu_count]
    dec ecx
    mov [boot_cpu], ecx
    mov al, [rdi]
    rep movsb
    mov [rdi], al
.done:
    ret

; Whether this is QEMU without KVM (it says so itself). Out: CF=1 yes  Clobbers: RAX RBX RCX RDX
on_tcg:
    mov eax, 1
    cpuid
    bt ecx, 31                                  ; under a hypervisor
    jnc .no
    mov eax, 0x40000000
    cpuid
    cmp ebx, "TCGT"
    jne .no
    cmp ecx, "CGTC"
    jne .no
    cmp edx, "GTCG"
    jne .no
    stc
    ret
.no:
    clc
    ret

; The first place is of the CPU that boots. Clobbers: all but RSP
find:
    mov eax, 1
    cpuid
    shr ebx, 24
    mov [boot_cpus], bl
    mov dword [boot_cpu_count], 1

    cmp dword [boot_magic], MULTIBOOT2_BOOTED
    jne .search
    mov ebx, [boot_info]                        ; tags 14 and 15 are copies of the RSDP, old and new (Multiboot2 3.6.11)
    mov ecx, [rbx]
    add rcx, rbx
    add rbx, 8
.tag:
    cmp rbx, rcx
    jae .search
    mov eax, [rbx]
    sub eax, 14
    cmp eax, 1
    lea rsi, [rbx + 8]
    jbe .rsdp
    mov eax, [rbx + 4]
    add rax, 7
    and rax, -8
    jz .search
    add rbx, rax
    jmp .tag
.search:
    movzx esi, word [abs EBDA_SEGMENT]
    shl esi, 4
    lea rdi, [rsi + 1024]
    call find_rsdp
    jc .rsdp
    mov esi, BIOS_AREA
    mov edi, BIOS_END
    call find_rsdp
    jnc .done
.rsdp:                                          ; RSI
    mov edx, [rsi + 16]                         ; RSDT, entries of 4 bytes
    mov ebp, 4
    cmp byte [rsi + 15], 2
    jb .root
    mov rax, [rsi + 24]                         ; XSDT, entries of 8 bytes
    test rax, rax
    jz .root
    mov rdx, rax
    mov ebp, 8
.root:
    call table
    jc .done
    lea rbx, [rdx + TABLE_HEADER]
.entry:
    add rbx, rbp
    cmp rbx, rdi
    ja .done
    mov edx, [rbx - 4]
    cmp ebp, 4
    je .address
    mov rdx, [rbx - 8]
.address:
    call table
    xchg rdi, r8                                ; R8 the table's end, RDI the root's again
    jc .no_table
    cmp dword [rdx], "APIC"
    je madt
.no_table:
    jmp .entry
.done:
    ret

; In: RDX MADT, R8 its end
madt:
    lea rsi, [rdx + MADT_ENTRIES]
.next:
    lea rax, [rsi + 8]
    cmp rax, r8
    ja .done
    movzx ecx, byte [rsi + 1]
    cmp byte [rsi], MADT_APIC
    jne .skip
    test byte [rsi + 4], 1
    jz .skip
    mov al, [rsi + 3]
    cmp al, [boot_cpus]
    je .skip
    mov edx, [boot_cpu_count]
    cmp edx, [most]
    jae .done
    lea rdi, [boot_cpus]
    mov [rdi + rdx], al
    inc dword [boot_cpu_count]
.skip:
    cmp ecx, 2
    jb .done
    add rsi, rcx
    jmp .next
.done:
    ret

; RSI..RDI -> CF=1 and RSI the RSDP. Clobbers: RAX, RCX.
find_rsdp:
    mov rax, "RSD PTR "
    cmp [rsi], rax
    jne .next
    mov ecx, 20
    mov rdx, rsi
    call sum
    jnz .next
    stc
    ret
.next:
    add rsi, 16
    cmp rsi, rdi
    jb find_rsdp
    clc
    ret

; RDX a table's address -> CF=1: none that can be believed; RDI its end, and what RDI was in R8. Clobbers: RAX, RCX.
table:
    mov r8, rdi
    mov rax, rdx
    shr rax, 32
    jnz .no
    mov ecx, [rdx + 4]
    cmp ecx, TABLE_MAX
    ja .no
    cmp ecx, TABLE_HEADER
    jb .no
    lea rdi, [rdx + rcx]
    call sum
    jnz .no
    clc
    ret
.no:
    stc
    ret

; RDX, ECX bytes -> ZF: their sum is 0. Clobbers: RAX, RCX.
sum:
    xor eax, eax
.next:
    add al, [rdx + rcx - 1]
    dec ecx
    jnz .next
    test al, al
    ret

section .bss nobits alloc write align=4
boot_cpu_count: resd 1
boot_cpu:       resd 1
most:           resd 1
boot_cpus:      resb HostLimit_CpuPlaces
