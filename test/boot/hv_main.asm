; The test's hv_main: says what hv/boot handed over, tries the permissions of the map, and ends the machine. Lines as a test reads them:
;
;   hvkit: test: tsc 0000000000612345
;   hvkit: test: image 00000000a1b2c3d4 left 0000000000000000
;   hvkit: test: vendor 0000000000000002
;   hvkit: test: range 0000000000123000 0000000007ebd000
;   hvkit: test: frame 0000000000123000 next 0000000000124000
;   hvkit: test: faults 000000000000003f
;   hvkit: test: direct 000000000000005a
;   hvkit: test: apic 0000000000050014
;   hvkit: test: odd 0000000000800000 0000000000800000
;   hvkit: test: done

%include "boot.inc"
bits 64
default rel

extern early_puts, early_putc, early_hex, early_stop, early_alloc, early_next, boot_ranges, boot_range_count, boot_vendor, boot_magic, boot_info, memory_collect
extern __text_start, __rodata_start, __rodata_end, __plain_end, __packed_start
global hv_main

%macro SAY 1
    lea rsi, [%%text]
    call early_puts
    [section .rodata]
    %%text: db %1, 0
    __SECT__
%endmacro

%macro HEX 1
    mov rax, %1
    call early_hex
%endmacro

section .text
hv_main:
    rdtsc
    shl rdx, 32
    or rdx, rax
    mov rbx, rdx
    xor eax, eax
    call early_putc
    SAY "hvkit: test: tsc "
    HEX rbx
    call new_line
    SAY "hvkit: test: image "
    lea rsi, [__text_start]
    lea rdi, [__rodata_end]
    mov ebx, -1
.crc:
    crc32 rbx, qword [rsi]
    add rsi, 8
    cmp rsi, rdi
    jb .crc
    not ebx
    mov eax, ebx
    call early_hex
    SAY " left "
    xor ebx, ebx
    lea rsi, [__plain_end]
    lea rdi, [__packed_start]
    call count_left
    lea rsi, [spare]
    lea rdi, [spare.end]
    call count_left
    mov rax, rbx
    call early_hex
    call new_line
    SAY "hvkit: test: vendor "
    mov eax, [boot_vendor]
    call early_hex
    call new_line

    lea r12, [range_text]
    call say_ranges

    SAY "hvkit: test: frame "
    call early_alloc
    mov rbx, rax
    call early_hex
    SAY " next "
    HEX [early_next]
    call new_line

    call try_map
    SAY "hvkit: test: faults "
    HEX r15
    call new_line

    ; The direct map and the identity map name the same byte; the last range's end is inside.
    mov rdx, DIRECT_MAP
    mov eax, [boot_range_count]
    dec eax
    shl eax, 4
    lea rbp, [boot_ranges]
    add rbp, rax
    mov rax, [rbp]
    add rax, [rbp + 8]
    mov qword [rdx + rax - 8], 0x5A
    mov rax, [rdx + rax - 8]
    SAY "hvkit: test: direct "
    call early_hex
    call new_line
    SAY "hvkit: test: apic "
    mov rax, DIRECT_MAP + 0xFEE00030            ; the local APIC's version
    mov eax, [rax]
    call early_hex
    call new_line
    ; A map such as only a bad firmware leaves.
    mov dword [boot_magic], DISK_BOOTED
    lea rax, [odd_map]
    mov [boot_info], eax
    call memory_collect
    lea r12, [odd_text]
    call say_ranges
    SAY {"hvkit: test: done", 13, 10}
    xor eax, eax
    call early_putc
    jmp early_stop

; R12 -> the line's beginning. Clobbers: RAX, RBX, RBP, RSI.
say_ranges:
    xor ebx, ebx
.next:
    mov rsi, r12
    call early_puts
    mov eax, ebx
    shl eax, 4
    lea rbp, [boot_ranges]
    add rbp, rax
    HEX [rbp]
    SAY " "
    HEX [rbp + 8]
    call new_line
    inc ebx
    cmp ebx, [boot_range_count]
    jb .next
    ret

; RSI to RDI: adds the words that are not 0 to RBX. Clobbers: RSI.
count_left:
    cmp qword [rsi], 0
    je .zero
    inc rbx
.zero:
    add rsi, 8
    cmp rsi, rdi
    jb count_left
    ret

new_line:
    SAY {13, 10}
    ret

; -> R15: a bit for each access that must fault and did; bits 4 and up for those that must not and did.
try_map:
    lea rax, [page_fault]
    lea rdi, [idt + 14 * 16]
    mov [rdi], ax
    mov word [rdi + 2], SEL_CODE64
    mov word [rdi + 4], 0x8E00
    shr rax, 16
    mov [rdi + 6], ax
    lidt [idt_pointer]
    xor r15d, r15d
%assign bit 0
%macro TRY 1+
    mov r14d, 1 << bit
    lea r13, [%%after]
    %1
%%after:
    %assign bit bit + 1
%endmacro
    mov rdx, DIRECT_MAP
    TRY mov byte [__text_start], 0x90           ; text is read only,
    TRY mov byte [rdx + __text_start], 0x90     ; by its other name too
    TRY mov byte [__rodata_start], 0            ; as is rodata
    TRY mov al, [abs 0]                         ; nothing is at 0
    lea rcx, [data_code]
    TRY call rcx                                ; data does not run,
    lea rcx, [rdx + plain_return]
    TRY call rcx                                ; nothing runs by its direct name
    TRY mov al, [__text_start]                  ; what must work
    TRY mov byte [data_code], 0xC3
    TRY call plain_return
    ret

plain_return:
    ret

; Notes the fault and goes on behind the access; a call that faulted at its target left a return address.
page_fault:
    or r15, r14
    mov rax, [rsp + 8]                          ; RIP
    lea rbx, [try_map]
    cmp rax, rbx
    jb .called
    lea rbx, [plain_return]
    cmp rax, rbx
    jb .resume
.called:
    add qword [rsp + 32], 8                     ; RSP
.resume:
    mov [rsp + 8], r13
    add rsp, 8
    iretq

section .rodata
range_text: db "hvkit: test: range ", 0
odd_text:   db "hvkit: test: odd ", 0

%macro ENTRY 3                                  ; base, length, type
    dq %1, %2
    dd %3, 1
%endmacro

align 8
odd_map:
    dd (.end - .entries) / 24, 0
.entries:
    ENTRY 0x100000000, 0x40000000, 1            ; not sorted
    ENTRY 0x800000, 0x1000800, 1                ; ends within a page
    ENTRY 0x1000800, 0x1000, 2                  ; reserved within what is usable: both of its pages are lost
    ENTRY 0, 0x9FC00, 1                         ; below the image
    ENTRY 0x1700000, 0x200000, 1                ; overlaps the second
    ENTRY 0x2000000, 0x800, 1                   ; less than a page
    ENTRY 0x120000000, 0x1000, 3                ; a hole, and of a type that is not RAM either
    ENTRY 0x3000000, 0, 1                       ; nothing
    ENTRY -0x1000, 0x2000, 1                    ; past the end of the world
.end:

idt_pointer:
    dw 16 * 16 - 1
    dq idt

section .data
data_code: db 0xC3

section .bss nobits alloc write align=16
idt: resb 16 * 16
; the bss's last bytes, in which the packed block was
spare: resb 0x2000 - 16 * 16
.end:
