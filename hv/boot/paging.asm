; The final map of what hv/boot owns. Page directories are shared by the identity map (PML4[0], first 4 GiB) and the direct map of all
; physical memory (PML4[256], at DIRECT_MAP), so that no frame of the image has a second, writable name:
;
;   image text           read, execute          (direct map: never executed, PML4[256] is NX)
;   image rodata         read
;   image data, bss      read, write
;   page 0               not present: a null pointer faults
;   RAM                  read, write, 2 MB pages
;   below 4 GiB, no RAM  read, write, uncached (MMIO: local APIC at FEE00000h)
;   above 4 GiB          RAM only
;
; PML4[1] to PML4[255] stay empty: hv/asm's windows and stacks. The tables beyond 4 GiB come from early_alloc.

%include "boot.inc"
bits 64
default rel

extern boot_pml4, boot_pds, boot_ranges, boot_range_count, early_alloc
extern __text_start, __text_end, __rodata_end, __image_end
global paging_build, image_table

section .text

; Builds the map and turns on EFER.NXE and CR0.WP (cpu_check has found NX). Clobbers: all but RSP.
paging_build:
    mov ecx, 0xC0000080                         ; EFER
    rdmsr
    or eax, 1 << 11                             ; NXE
    wrmsr

    ; The first 4 GiB: uncached, until a range says that it is RAM. The 2 MB in which this code runs are not touched here.
    lea rdi, [boot_pds + 8]
    mov rax, PTE_NX | PTE_P | PTE_W | PTE_PS | PTE_UC | BLOCK
    mov ecx, 4 * 512 - 1
.uncached:
    mov [rdi], rax
    add rax, BLOCK
    add rdi, 8
    dec ecx
    jnz .uncached

    ; The direct map's first 4 GiB are the same page directories.
    lea rdi, [direct_pdpt]
    lea rax, [boot_pds + (PTE_P | PTE_W)]
    mov ecx, 4
.share:
    mov [rdi], rax
    add rax, PAGE
    add rdi, 8
    dec ecx
    jnz .share
    lea rax, [direct_pdpt + (PTE_P | PTE_W)]
    bts rax, 63
    mov [boot_pml4 + 256 * 8], rax

    ; Every 2 MB in which there is RAM. early_alloc moves the first range's base meanwhile: its end is what counts.
    xor ebx, ebx
.range:
    cmp ebx, [boot_range_count]
    jae .ranges_done
    mov eax, ebx
    shl eax, 4
    lea rdx, [boot_ranges]
    mov r12, [rdx + rax]
    mov r13, [rdx + rax + 8]
    add r13, r12                                ; end
    and r12, -BLOCK
    jnz .block
    add r12, BLOCK                              ; the image's 2 MB are done below
.block:
    cmp r12, r13
    jae .range_next
    call map_ram
    add r12, BLOCK
    jmp .block
.range_next:
    inc ebx
    jmp .range
.ranges_done:

    call map_image
    lea rax, [image_table + (PTE_P | PTE_W)]
    mov [boot_pds], rax
    lea rax, [boot_pml4]
    mov cr3, rax
    mov rax, cr0
    or eax, 1 << 16                             ; WP: read-only is for this ring too
    mov cr0, rax
    ret

; Maps the 2 MB of RAM at R12. Clobbers: RAX, RCX, RDX, RDI.
map_ram:
    mov rax, r12
    shr rax, 32
    jnz .high
    mov rcx, r12
    shr rcx, 21
    lea rdi, [boot_pds]
    and byte [rdi + rcx * 8], ~PTE_UC
    ret
.high:
    lea rdi, [boot_pml4 + 256 * 8]
    mov rcx, r12
    shr rcx, 39
    call table_at                               ; the PDPT of this 512 GiB
    mov rcx, r12
    shr rcx, 30
    call table_at                               ; the page directory of this 1 GiB
    mov rcx, r12
    shr rcx, 21
    and ecx, 511
    mov rax, PTE_NX | PTE_P | PTE_W | PTE_PS
    or rax, r12
    mov [rdi + rcx * 8], rax
    ret

; RDI -> a table, RCX mod 512 an index into it (PML4: from its middle on) -> RDI: the table that the entry points to, made when there is
; none. Clobbers: RAX, RCX.
table_at:
    and ecx, 511
    lea rdi, [rdi + rcx * 8]
    mov rax, [rdi]
    test al, PTE_P
    jnz .there
    call early_alloc
    or rax, PTE_P | PTE_W
    mov [rdi], rax
.there:
    mov rdi, 0x000FFFFFFFFFF000
    and rdi, rax
    ret

; The image's 2 MB in 4 KiB pages, each with the permissions of its section. Clobbers: RAX, RCX, RDX, RDI.
map_image:
    xor ecx, ecx                                ; address
    lea rdi, [image_table]
.page:
    mov rax, PTE_NX | PTE_P | PTE_W
    cmp ecx, __text_start
    jb .below
    cmp ecx, __image_end
    jae .set
    cmp ecx, __rodata_end
    jae .set
    mov rax, PTE_NX | PTE_P
    cmp ecx, __text_end
    jae .set
    mov eax, PTE_P
    jmp .set
.below:
    cmp ecx, 0xA0000                            ; video memory and option ROMs
    jb .set
    or eax, PTE_UC
.set:
    or rax, rcx
    mov [rdi], rax
    add rdi, 8
    add ecx, PAGE
    cmp ecx, BLOCK
    jb .page
    mov qword [image_table], 0                  ; page 0
    ret

section .bss nobits alloc write align=4096
image_table: resb PAGE
direct_pdpt: resb PAGE
