; echo: halted until COM1 interrupts, and what it got goes back. No timer runs: nothing but input wakes it.

%include "multiboot.inc"
%include "serial.inc"
%include "options.inc"
%include "idt.inc"
%include "timer.inc"
%include "power.inc"

main:
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
  hlt
  jmp .sleep

serial_interrupt:
  mov dx, COM1 + UART_LSR
  in al, dx
  test al, LSR_DATA_READY
  jz .done
  mov dx, COM1 + UART_DATA
  in al, dx
  out dx, al
  jmp serial_interrupt
.done:
  out_byte PIC1_COMMAND, PIC_EOI
  ret

%include "end.inc"
