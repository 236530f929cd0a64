; direct: boots Linux on the bare engine exactly as hvkit boots it as a guest, for the figure linux.direct. A multiboot kernel whose
; modules are the bzImage and the initrd; its command line, from `console=` on, is Linux'.
;
;   1. The modules go where control/src/images/plan.ts puts them in a guest of RAM_BYTES.
;   2. Zero page, memory map, page tables, GDT and registers as hv/machine/boot/linux.ts and registers.ts make them.
;   3. ` entry=` and the TSC of the last moment go behind the command line; then the jump to the 64-bit entry.
; Not saved: anything.

%define MULTIBOOT_MAGIC 0x1BADB002
%define RAM_BYTES (128 << 20)
%define BOOT_BLOCK_BYTES 0x10000
%define KERNEL (14 << 20)

; hv/machine/boot/linux.ts
%define GDT 0x1000
%define ZERO_PAGE 0x2000
%define COMMAND_LINE 0x3000
%define PAGE_TABLES 0x4000
%define EBDA 0x9FC00
%define LOW_MEMORY 0x100000
%define SETUP_SECTS 0x1F1
%define JUMP 0x200
%define MAGIC 0x202
%define TYPE_OF_LOADER 0x210
%define CODE32_START 0x214
%define RAMDISK_IMAGE 0x218
%define RAMDISK_SIZE 0x21C
%define CMD_LINE_PTR 0x228
%define E820_ENTRIES 0x1E8
%define E820_TABLE 0x2D0

org 0x100000
bits 32

elf_header:
  db 0x7F, "ELF", 1, 1, 1
  times 9 db 0
  dw 2, 3
  dd 1, entry, program_header - elf_header, 0, 0
  dw 52, 32, 1, 0, 0, 0
program_header:
  dd 1, 0, 0x100000, 0x100000, file_end - elf_header, stack_top - elf_header, 7, 0x1000
align 4
  dd MULTIBOOT_MAGIC, 3, -(MULTIBOOT_MAGIC + 3) & 0xFFFFFFFF

entry:
  cld
  mov esp, stack_top
  mov ebp, ebx                            ; multiboot information
  mov dx, 0x3FB                           ; 8 data bits, as hvkit's UART starts: Bochs has 5
  mov al, 3
  out dx, al
  call copy_modules
  call command_line
  call zero_page
  call page_tables
  jmp enter

; The initrd first: the kernel's new place may lie on it. Both move up, so from the end down.
copy_modules:
  mov ebx, [ebp + 24]                     ; module table: start, end, string, reserved
  mov esi, [ebx + 16]
  mov ecx, [ebx + 20]
  sub ecx, esi
  mov [initrd_bytes], ecx
  mov edi, RAM_BYTES - BOOT_BLOCK_BYTES
  sub edi, ecx
  and edi, ~0xFFF
  mov [initrd], edi
  call move_up
  mov esi, [ebx]
  mov ecx, [ebx + 4]
  sub ecx, esi
  mov edi, KERNEL
  ; fall through

; In: ESI from, EDI to (above), ECX bytes. Clobbers ECX, ESI, EDI, EAX. By dwords: in Bochs each iteration is a tick.
move_up:
  add ecx, 3
  and ecx, ~3
  lea esi, [esi + ecx - 4]
  lea edi, [edi + ecx - 4]
  shr ecx, 2
  std
  rep movsd
  cld
  ret

command_line:
  mov esi, [ebp + 16]
.find:
  cmp dword [esi], "cons"
  je .found
  inc esi
  cmp byte [esi - 1], 0
  jne .find
  dec esi
.found:
  mov edi, COMMAND_LINE
.copy:
  lodsb
  stosb
  test al, al
  jnz .copy
  dec edi
  mov esi, entry_option
  mov ecx, entry_option_end - entry_option
  rep movsb
  mov [digits], edi
  ret

zero_page:
  mov edi, ZERO_PAGE
  xor eax, eax
  mov ecx, 1024
  rep stosd
  movzx ecx, byte [KERNEL + JUMP + 1]     ; the header's end, from 202h
  add ecx, MAGIC
  cmp ecx, 0x290
  jbe .fits
  mov ecx, 0x290
.fits:
  sub ecx, SETUP_SECTS
  mov esi, KERNEL + SETUP_SECTS
  mov edi, ZERO_PAGE + SETUP_SECTS
  rep movsb
  movzx eax, byte [KERNEL + SETUP_SECTS]
  inc eax
  shl eax, 9
  add eax, KERNEL
  mov [code], eax
  mov byte [ZERO_PAGE + TYPE_OF_LOADER], 0xFF
  mov [ZERO_PAGE + CODE32_START], eax
  mov eax, [initrd]
  mov [ZERO_PAGE + RAMDISK_IMAGE], eax
  mov eax, [initrd_bytes]
  mov [ZERO_PAGE + RAMDISK_SIZE], eax
  mov dword [ZERO_PAGE + CMD_LINE_PTR], COMMAND_LINE
  mov esi, memory_map
  mov edi, ZERO_PAGE + E820_TABLE
  mov ecx, memory_map_end - memory_map
  rep movsb
  mov byte [ZERO_PAGE + E820_ENTRIES], 3
  ret

page_tables:
  mov edi, PAGE_TABLES
  xor eax, eax
  mov ecx, 2048
  rep stosd
  mov dword [PAGE_TABLES], PAGE_TABLES + 0x1003
  mov edi, PAGE_TABLES + 0x1000
  mov eax, PAGE_TABLES + 0x2003
  mov ecx, 4
.pointer:
  mov [edi], eax
  add edi, 8
  add eax, 0x1000
  loop .pointer
  mov edi, PAGE_TABLES + 0x2000
  mov eax, 0x83
.directory:
  mov [edi], eax
  mov dword [edi + 4], 0
  add edi, 8
  add eax, 0x200000
  jnc .directory
  ret

enter:
  mov esi, gdt
  mov edi, GDT
  mov ecx, gdt_end - gdt
  rep movsb
  lgdt [gdt_pointer]
  mov eax, 1 << 5                         ; PAE
  mov cr4, eax
  mov eax, PAGE_TABLES
  mov cr3, eax
  mov ecx, 0xC0000080
  mov eax, 1 << 8                         ; LME
  xor edx, edx
  wrmsr
  mov eax, 0x80000031                     ; PG, NE, ET, PE
  mov cr0, eax
  jmp 0x10:.long
bits 64
.long:
  mov eax, 0x18
  mov ds, eax
  mov es, eax
  mov ss, eax
  mov fs, eax
  mov gs, eax
  ; 16 hexadecimal digits of the TSC; what follows until the jump is some 200 instructions
  rdtsc
  shl rdx, 32
  or rax, rdx
  mov edi, [digits]
  mov ecx, 16
.digit:
  rol rax, 4
  mov edx, eax
  and edx, 15
  cmp dl, 10
  jb .decimal
  add dl, "a" - "0" - 10
.decimal:
  add dl, "0"
  mov [rdi], dl
  inc edi
  loop .digit
  mov byte [rdi], 0
  mov eax, [code]
  add eax, 0x200
  mov esi, ZERO_PAGE
  jmp rax

entry_option: db " entry="
entry_option_end:
align 8
gdt:
  dq 0, 0
  dq 0x00AF9B000000FFFF
  dq 0x00CF93000000FFFF
gdt_end:
gdt_pointer:
  dw gdt_end - gdt - 1
  dd GDT
align 4
memory_map:                               ; E820: address, bytes, type
  dq 0, EBDA
  dd 1
  dq EBDA, LOW_MEMORY - EBDA
  dd 2
  dq LOW_MEMORY, RAM_BYTES - LOW_MEMORY
  dd 1
memory_map_end:
align 4
initrd: dd 0
initrd_bytes: dd 0
code: dd 0
digits: dd 0
file_end:
align 16
stack: times 256 db 0
stack_top:
