; bochs: the boot sector with which Bochs starts bench/direct.asm. Reads the files from its disk by PIO, as a boot loader's BIOS calls would
; take minutes, and hands them over as a multiboot loader does.
; -D: STUB_ENTRY, and for STUB, COMMAND, KERNEL and INITRD the first sector, e.g. STUB_SECTOR, their number, STUB_SECTORS; KERNEL_BYTES,
; INITRD_BYTES. Written by scripts/lib/bench/direct.mjs.

%define MULTIBOOT_LOADER 0x2BADB002
%define STUB_ADDRESS 0x100000
%define KERNEL_ADDRESS 0x2000000
%define INITRD_ADDRESS 0x3000000
%define COMMAND_ADDRESS 0x3800000

%define ATA_DATA 0x1F0
%define ATA_COUNT 0x1F2
%define ATA_STATUS 0x1F7
%define ATA_READ_SECTORS 0x20

; %1: name. Reads its sectors to its address.
%macro load 1
  mov ebx, %1_SECTOR
  mov esi, %1_SECTORS
  mov edi, %1_ADDRESS
  call read
%endmacro

bits 16
org 0x7C00
  cli
  xor ax, ax
  mov ds, ax
  in al, 0x92                             ; A20
  or al, 2
  out 0x92, al
  lgdt [gdt_pointer]
  mov eax, cr0
  or al, 1
  mov cr0, eax
  jmp 8:protected
bits 32
protected:
  mov eax, 16
  mov ds, eax
  mov es, eax
  mov ss, eax
  mov esp, 0x7C00
  cld
  load STUB
  load COMMAND
  load KERNEL
  load INITRD
  mov eax, MULTIBOOT_LOADER
  mov ebx, information
  mov ecx, STUB_ENTRY
  jmp ecx

; In: EBX first sector, ESI their number, EDI where to. One at a time. Clobbers EAX, EBX, ECX, EDX, ESI, EDI.
read:
  mov edx, ATA_COUNT
  mov al, 1
  out dx, al
  mov eax, ebx
  or eax, 0xE0000000                      ; LBA, master
  mov ecx, 4
.address:
  inc edx
  out dx, al
  shr eax, 8
  loop .address
  inc edx
  mov al, ATA_READ_SECTORS
  out dx, al
.wait:
  in al, dx
  and al, 0x88                            ; BSY, DRQ
  cmp al, 8
  jne .wait
  mov edx, ATA_DATA
  mov ecx, 128
  rep insd
  inc ebx
  dec esi
  jnz read
  ret

align 8
gdt:
  dq 0
  dq 0x00CF9B000000FFFF
  dq 0x00CF93000000FFFF
gdt_pointer:
  dw 23
  dd gdt
align 4
information:                              ; flags, memory, boot device, command line, modules
  dd (1 << 2) | (1 << 3), 0, 0, 0, COMMAND_ADDRESS, 2, modules
modules:
  dd KERNEL_ADDRESS, KERNEL_ADDRESS + KERNEL_BYTES, 0, 0
  dd INITRD_ADDRESS, INITRD_ADDRESS + INITRD_BYTES, 0, 0

times 510 - ($ - $$) db 0
dw 0xAA55
