; spin16: the smallest guest there is. It never idles, so that the time that the CPU was idle ends with its first instruction.

bits 16
org 0x7C00
  jmp $
times 510 - ($ - $$) db 0
dw 0xAA55
