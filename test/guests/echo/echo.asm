; echo: halted until COM1 interrupts, and what it got goes back. No timer runs: nothing but input wakes it.
;
; stamp=1: after each byte also the TSC of the interrupt that it came by, ` at N` and a new line.

%include "multiboot.inc"
%include "serial.inc"
%include "options.inc"
%include "idt.inc"
%include "timer.inc"
%include "power.inc"

main:
  mov esi, stamp_option
  xor eax, eax
  call option_number
  mov [stamp], eax
  call idt_init
  xor eax, eax
  call timer_init
  out_byte PIC1_DATA, 0xEF                ; IRQ 4 alone
  mov eax, PIC_BASE + 4
  mov edx, serial_interrupt
  call hook
  mov dx, COM1 + UART_MCR
  mov al, 0x0B                            ; OUT2: interrupts reach the 8259
  out dx, al
  mov dx, COM1 + UART_IER
  mov al, 1
  out dx, al
  print "echo: ready", 10
.sleep:
  sti
  hlt                                     ; input that came before it was answered already
  jmp .sleep

serial_interrupt:
  rdtsc
  shl rdx, 32
  or rax, rdx
  mov r8, rax
.next:
  mov dx, COM1 + UART_LSR
  in al, dx
  test al, LSR_DATA_READY
  jz .done
  mov dx, COM1 + UART_DATA
  in al, dx
  out dx, al
  cmp dword [stamp], 0
  je .next
  print " at "
  print_decimal r8
  print 10
  jmp .next
.done:
  out_byte PIC1_COMMAND, PIC_EOI
  ret

stamp_option: db "stamp=", 0
align 4
stamp: dd 0

%include "end.inc"
