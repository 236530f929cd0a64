; hello16: a boot sector. Checks the state in which it was started, counts timer interrupts in real mode, powers off.
; All in 512 bytes, with no BIOS: COM1, the 8259 and the 8254 are programmed here.

%define COM1 0x3F8
%define LSR 0x3FD
%define LSR_THR_EMPTY 0x20
%define PM1A_CONTROL 0x604
%define SLP_EN 0x2000
%define TICKS 3

; %1: jump that is taken when the check named %2 holds
%macro check 2+
  mov si, %%name
  %1 %%ok
  call failed
  jmp %%over
%%ok:
  call passed
  jmp %%over
%%name: db %2, 0
%%over:
%endmacro

bits 16
org 0x7C00
  cli
  cld
  pushf
  pop bp                                  ; FLAGS at the start, less IF
  mov bx, cs
  jmp 0:start
start:
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov sp, 0x7C00
  mov dx, COM1 + 3
  mov al, 3                               ; 8 data bits, no parity: Bochs starts with 5
  out dx, al

  mov si, title
  call put_string
  cmp bx, 0
  check je, "cs is 0"
  test bp, 0x0500                         ; DF and TF
  check jz, "flags"
  smsw ax
  test al, 1
  check jz, "real mode"

  mov si, 0x0600                          ; A20: FFFF:0610 is 0000:0600 where the gate is off
  not si
  mov [0x0600], si
  mov ax, 0xFFFF
  mov fs, ax
  mov word [fs:0x0610], 0
  cmp [0x0600], si
  check je, "a20"
  mov eax, 0x12345678                     ; 32-bit operands and addresses in real mode
  mov edi, 0x0600
  mov [edi + 4], eax
  cmp dword [0x0604], 0x12345678
  check je, "32-bit operands"
  xor eax, eax
  cpuid
  cmp eax, 1
  check jae, "cpuid"

  mov word [8 * 4], tick                  ; IRQ 0 at vector 8, as a BIOS has it
  mov [8 * 4 + 2], ds
  mov al, 0x11
  out 0x20, al
  mov al, 8
  out 0x21, al
  mov al, 4
  out 0x21, al
  mov al, 1
  out 0x21, al
  mov al, 0xFE
  out 0x21, al
  mov al, 0x34
  out 0x43, al
  xor al, al
  out 0x40, al
  mov al, 0x20                            ; 8192 counts: 6.9 ms
  out 0x40, al
  mov cx, TICKS
.wait:
  sti
  hlt
  cmp cx, 0
  jg .wait                                ; a busy host may give two at once
  cli
  cmp cx, 0
  check jle, "timer interrupts"
  mov si, done
  call put_string
  mov dx, PM1A_CONTROL
  mov ax, SLP_EN
  out dx, ax
  cli
  hlt

tick:
  push ax
  mov al, 0x20
  out 0x20, al
  pop ax
  dec cx
  iret

; In: SI the check's name
failed:
  push si
  mov si, word_failed
  jmp result
passed:
  push si
  mov si, word_ok
result:
  call put_string
  pop si
  call put_string
  mov si, line_end
; In: SI, zero-terminated. Clobbers AX, DX, SI.
put_string:
  mov dx, LSR
.wait:
  in al, dx
  test al, LSR_THR_EMPTY
  jz .wait
  lodsb
  mov dx, COM1
  test al, al
  jz .done
  out dx, al
  jmp put_string
.done:
  ret

title: db "hello16: real mode", 10, 0
word_ok: db "ok ", 0
word_failed: db "FAIL ", 0
done: db "hello16: done"
line_end: db 10, 0

times 510 - ($ - $$) db 0
dw 0xAA55
