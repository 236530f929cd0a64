; tasks: a boot sector that goes into protected mode and jumps to another task's TSS. Where the CPU switches tasks itself (SVM), the second
; task powers off; under VMX a task switch always exits (SDM vol. 3, 26.1.2).

%define COM1 0x3F8
%define LSR 0x3FD
%define LSR_THR_EMPTY 0x20
%define PM1A_CONTROL 0x604
%define SLP_EN 0x2000
%define SEL_CODE 0x08
%define SEL_DATA 0x10
%define SEL_FIRST 0x18
%define SEL_SECOND 0x20
%define TSS_BYTES 104

; %1: base below 64 KiB, %2: limit, %3: access byte, %4: flags and the limit's upper bits
%macro descriptor 4
  dw %2, %1
  db 0, %3, %4, 0
%endmacro

bits 16
org 0x7C00
  cli
  cld
  jmp 0:start
start:
  xor ax, ax
  mov ds, ax
  mov ss, ax
  mov sp, 0x7C00
  mov dx, COM1 + 3
  mov al, 3                               ; 8 data bits, no parity: Bochs starts with 5
  out dx, al
  mov si, text
.next:
  mov dx, LSR
.wait:
  in al, dx
  test al, LSR_THR_EMPTY
  jz .wait
  lodsb
  test al, al
  jz .said
  mov dx, COM1
  out dx, al
  jmp .next
.said:
  lgdt [gdt_pointer]
  mov eax, cr0
  or al, 1
  mov cr0, eax
  jmp SEL_CODE:protected
bits 32
protected:
  mov ax, SEL_DATA
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov ax, SEL_FIRST
  ltr ax
  jmp SEL_SECOND:0
  hlt
second:
  mov dx, PM1A_CONTROL
  mov ax, SLP_EN
  out dx, ax
  hlt

text: db "tasks: now", 10, 0
align 8
gdt:
  dq 0
  descriptor 0, 0xFFFF, 0x9B, 0xCF
  descriptor 0, 0xFFFF, 0x93, 0xCF
  descriptor first_tss, TSS_BYTES - 1, 0x89, 0
  descriptor second_tss, TSS_BYTES - 1, 0x89, 0
.end:
gdt_pointer:
  dw gdt.end - gdt - 1
  dd gdt
align 4
second_tss:
  times 8 dd 0
  dd second, 2, 0, 0, 0, 0, 0x7C00, 0, 0, 0                     ; EIP, EFLAGS, EAX to EDI
  dd SEL_DATA, SEL_CODE, SEL_DATA, SEL_DATA, SEL_DATA, SEL_DATA ; ES to GS
  dd 0, (TSS_BYTES << 16)                                       ; LDT, I/O map
  times 510 - ($ - $$) db 0
  dw 0xAA55
first_tss equ 0x7E00
