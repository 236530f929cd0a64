; The memory map: whatever the loader left (multiboot, multiboot2, or E820 entries of our own disk loader) -> one table of usable
; ranges, and the early allocator that takes frames from its beginning. Runs once, on the first CPU, before interrupts.
;
;   boot_ranges        entries of base u64, length u64: RAM that is free, in pages, sorted, apart from each other;
;                      nothing below the image's end; a length is 0 when early_alloc has taken all
;   boot_range_count   u32
;   early_next         u64, the cursor of early_alloc: the base of the range that it takes from
;   boot_module        u64, u64: where multiboot's first module lies, from and to; 0: there is none. It is in no range.
;
; All three sources have entries that start with base u64, length u64, type u32; they differ in where the first one is and how far it is
; to the next one. Firmware maps may overlap and be unsorted: what any entry calls reserved is reserved.

%include "boot.inc"
bits 64
default rel

extern boot_magic, boot_info, __image_end, early_fail
global memory_collect, early_alloc, early_next, boot_ranges, boot_range_count, boot_module

USABLE equ 1

section .text

; Fills boot_ranges. Clobbers: all but RSP.
memory_collect:
    call find_map                               ; R12 first entry, R13 end, R14 stride
    lea rdi, [boot_ranges]                      ; while collecting: base, end
    xor r15d, r15d                              ; ranges so far

    mov rbx, r12
.usable:
    lea rax, [rbx + 20]
    cmp rax, r13
    ja .reserved_too
    cmp dword [rbx + 16], USABLE
    jne .usable_next
    mov rax, [rbx]
    mov rdx, [rbx + 8]
    add rdx, rax
    add rax, PAGE - 1
    and rax, -PAGE
    and rdx, -PAGE
    call append
.usable_next:
    call next_entry
    jmp .usable

.reserved_too:
    mov rbx, r12
.reserved:
    lea rax, [rbx + 20]
    cmp rax, r13
    ja .image
    cmp dword [rbx + 16], USABLE
    je .reserved_next
    mov rax, [rbx]
    mov rdx, [rbx + 8]
    add rdx, rax
    add rdx, PAGE - 1
    and rax, -PAGE
    and rdx, -PAGE
    call subtract
.reserved_next:
    call next_entry
    jmp .reserved

.image:
    xor eax, eax
    lea rdx, [__image_end]
    call subtract
    call find_module
    mov rax, [boot_module]
    mov rdx, [boot_module + 8]
    add rdx, PAGE - 1
    and rax, -PAGE
    and rdx, -PAGE
    call subtract
    call sort
    call finish
    test r15d, r15d
    jz no_memory
    mov rax, [boot_ranges]
    mov [early_next], rax
    ret

; The loader's entries -> R12 first, R13 end, R14 stride (0: multiboot's, whose size lies before each entry).
; Clobbers: RAX, RBX, RCX.
find_map:
    mov ebx, [boot_info]
    mov eax, [boot_magic]
    cmp eax, MULTIBOOT2_BOOTED
    je .multiboot2
    cmp eax, DISK_BOOTED
    je .disk
    cmp eax, MULTIBOOT1_BOOTED
    jne no_map
    test dword [rbx], 1 << 6                    ; Multiboot 3.3: flags, bit 6: mmap_length and mmap_addr are there
    jz no_map
    mov r12d, [rbx + 48]
    mov r13d, [rbx + 44]
    add r13, r12
    add r12, 4
    xor r14d, r14d
    ret
.disk:
    mov r13d, [rbx]
    lea r12, [rbx + 8]
    lea r13, [r13 + r13 * 2]
    lea r13, [r12 + r13 * 8]
    mov r14d, 24
    ret
.multiboot2:                                    ; Multiboot2 3.6.8: tag 6: type, size, entry_size, entry_version, entries
    mov ecx, [rbx]
    add rcx, rbx                                ; end of the tags
    add rbx, 8
.tag:
    cmp rbx, rcx
    jae no_map
    cmp dword [rbx], 6
    je .found
    mov eax, [rbx + 4]
    add rax, 7
    and rax, -8
    jz no_map                                   ; a tag of no size would be looked at for ever
    add rbx, rax
    jmp .tag
.found:
    mov r13d, [rbx + 4]
    add r13, rbx
    lea r12, [rbx + 16]
    mov r14d, [rbx + 8]
    test r14d, r14d
    jz no_map
    ret

; Keeps where multiboot's first module lies (Multiboot 3.3: flags, bit 3: mods_count and mods_addr are there). Clobbers: RAX, RBX.
find_module:
    cmp dword [boot_magic], MULTIBOOT1_BOOTED
    jne .none
    mov ebx, [boot_info]
    test dword [rbx], 1 << 3
    jz .none
    cmp dword [rbx + 20], 0
    je .none
    mov ebx, [rbx + 24]
    mov eax, [rbx]
    mov [boot_module], rax
    mov eax, [rbx + 4]
    mov [boot_module + 8], rax
.none:
    ret

; RBX -> the next entry. Clobbers: RAX.
next_entry:
    mov rax, r14
    test rax, rax
    jnz .add
    mov eax, [rbx - 4]                          ; multiboot: size, which does not count itself
    add rax, 4
.add:
    add rbx, rax
    ret

; Adds the range RAX..RDX, if it is not empty and there is room. Clobbers: RCX.
append:
    cmp rax, rdx
    jae .done
    cmp r15d, RANGES_MAX
    jae .done
    mov ecx, r15d
    shl ecx, 4
    mov [rdi + rcx], rax
    mov [rdi + rcx + 8], rdx
    inc r15d
.done:
    ret

; Takes RAX..RDX out of every range; an emptied range stays, as base = end. Clobbers: RCX, RSI, R8, R9.
subtract:
    xor esi, esi
.next:
    cmp esi, r15d
    jae .done
    mov ecx, esi
    shl ecx, 4
    inc esi
    mov r8, [rdi + rcx]
    mov r9, [rdi + rcx + 8]
    cmp rdx, r8
    jbe .next
    cmp rax, r9
    jae .next
    cmp rax, r8
    jbe .front
    mov [rdi + rcx + 8], rax                    ; what lies before stays here; what lies behind becomes a range of its own
    push rax
    mov rax, rdx
    mov rdx, r9
    call append
    mov rdx, rax
    pop rax
    jmp .next
.front:
    mov r8, rdx
    cmp r8, r9
    cmova r8, r9
    mov [rdi + rcx], r8
    jmp .next
.done:
    ret

; Insertion sort by base: maps are short and nearly sorted. Clobbers: RAX, RCX, RDX, RSI, R8.
sort:
    mov esi, 1
.next:
    cmp esi, r15d
    jae .done
    mov ecx, esi
    inc esi
    shl ecx, 4
    mov rax, [rdi + rcx]
    mov rdx, [rdi + rcx + 8]
.shift:
    test ecx, ecx
    jz .place
    mov r8, [rdi + rcx - 16]
    cmp r8, rax
    jbe .place
    mov [rdi + rcx], r8
    mov r8, [rdi + rcx - 8]
    mov [rdi + rcx + 8], r8
    sub ecx, 16
    jmp .shift
.place:
    mov [rdi + rcx], rax
    mov [rdi + rcx + 8], rdx
    jmp .next
.done:
    ret

; base, end -> base, length; drops empty ranges, joins those that touch or overlap. Clobbers: RAX, RCX, RDX, RSI, R8.
finish:
    mov rsi, rdi                                ; read here
    mov r8, rdi                                 ; write here: never ahead of RSI
    mov ecx, r15d
    xor r15d, r15d
.next:
    sub ecx, 1
    jc .done
    mov rax, [rsi]
    mov rdx, [rsi + 8]
    add rsi, 16
    cmp rax, rdx
    jae .next
    test r15d, r15d
    jz .new
    mov r9, [r8 - 16]
    add r9, [r8 - 8]                            ; where the range before ends
    cmp rax, r9
    ja .new
    cmp rdx, r9
    jbe .next
    sub rdx, [r8 - 16]
    mov [r8 - 8], rdx
    jmp .next
.new:
    sub rdx, rax
    mov [r8], rax
    mov [r8 + 8], rdx
    add r8, 16
    inc r15d
    jmp .next
.done:
    mov [boot_range_count], r15d
    ret

; -> RAX: the physical address of a 4 KiB frame, zeroed, taken from the beginning of the first range that has one. Clobbers: nothing else.
; Only while the first 4 GiB are identity-mapped: stops the machine when there is no frame left in them.
early_alloc:
    push rcx
    push rdi
    push rsi
    lea rsi, [boot_ranges]
    mov ecx, [boot_range_count]
.range:
    sub ecx, 1
    jc no_memory
    cmp qword [rsi + 8], 0                      ; used up
    jne .found
    add rsi, 16
    jmp .range
.found:
    mov rdi, [rsi]
    mov rax, rdi
    shr rax, 32
    jnz no_memory
    add qword [rsi], PAGE
    sub qword [rsi + 8], PAGE
    mov rax, [rsi]
    mov [early_next], rax
    mov rsi, rdi
    xor eax, eax
    mov ecx, PAGE / 8
    rep stosq
    mov rax, rsi
    pop rsi
    pop rdi
    pop rcx
    ret

no_map:
    lea rsi, [no_map_text]
    jmp early_fail
no_memory:
    lea rsi, [no_memory_text]
    jmp early_fail

section .rodata
no_map_text:    db "hvkit: stop: the boot loader left no memory map", 13, 10, 0
no_memory_text: db "hvkit: stop: no usable memory above the hypervisor", 13, 10, 0

section .data
align 8
early_next: dq 0

section .bss nobits alloc write align=16
boot_ranges:      resb RANGES_MAX * 16
boot_range_count: resd 1
alignb 8
boot_module:      resq 2
