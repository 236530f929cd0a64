; Which CPUs there are: the firmware's MADT, found by way of the RSDP and the RSDT or XSDT (ACPI 6.5, 5.2.5 to 5.2.12). Without a MADT there
; is one CPU. Runs before the final map, while the first 4 GiB can be read as they are; page 0 too, which has the EBDA's address.
;
;   boot_cpus        APIC IDs, u8 each; the CPU that boots is the first
;   boot_cpu_count   u32
;
; Firmware is believed where its checksums are right. Tables above 4 GiB are not looked at, nor CPUs with APIC IDs above 255.

%include "boot.inc"
%include "protocol.inc"
bits 64
default rel

extern boot_magic, boot_info
global cpus_find, boot_cpus, boot_cpu_count

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
    cmp edx, HostLimit_Cpus
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
boot_cpus:      resb HostLimit_Cpus
