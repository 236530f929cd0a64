; hv.img: the raw disk. Sector 0 is the boot sector, then the loader, then the image as it is loaded to 1 MiB (hv.packed).
; All that follows sector 0 is read to LOADED and stays there until the loader has copied the image up.
;
;   00500  the stack, down from 01000
;   01000  the memory map, handed over to entry32
;   07C00  the boot sector
;   08000  LOADED: loader, image; at most 96 KiB, so below 20000h

cpu 686
bits 16

BOOT_SECTOR equ 0x7C00
LOADED      equ 0x8000                          ; a multiple of CHUNK: no read crosses a 64 KiB line, which old BIOSes refuse
STACK       equ 0x1000
MAP         equ 0x1000
SECTOR      equ 512
CHUNK       equ 16                              ; sectors a read

%include "../boot.inc"

section .bootsector start=0 vstart=BOOT_SECTOR
%include "bootsector.inc"

section .loader start=SECTOR vstart=LOADED
%include "loader.inc"

; in the loader's section, so that its length counts into `loaded_end`
align 16, db 0
file:
    incbin "hv.packed"
file_bytes equ $ - file                         ; a multiple of 8
    align SECTOR, db 0
loaded_bytes equ $ - $$
