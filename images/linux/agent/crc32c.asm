; CRC-32C (RFC 3720, B.4), of whole frames.

; In: rsi bytes, ecx how many. Out: eax their CRC-32C, rsi behind them. By nibbles.
crc32c:
  mov eax, -1
  jecxz .done
.byte:
  movzx edx, byte [rsi]
  inc rsi
  xor eax, edx
  mov edx, eax
  and edx, 15
  shr eax, 4
  xor eax, [CRC_TABLE + 4 * rdx]
  mov edx, eax
  and edx, 15
  shr eax, 4
  xor eax, [CRC_TABLE + 4 * rdx]
  dec ecx
  jnz .byte
.done:
  not eax
  ret

align 8
CRC_TABLE:                                ; of the 16 nibbles, polynomial 82F63B78h
%assign nibble 0
%rep 16
  %assign value nibble
  %rep 4
    %if value & 1
      %assign value (value >> 1) ^ 0x82F63B78
    %else
      %assign value value >> 1
    %endif
  %endrep
  dd value
  %assign nibble nibble + 1
%endrep
