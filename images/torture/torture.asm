; torture: tries everything that a guest can do to its machine, and checks what comes of it. `ok NAME` or `FAIL NAME` for each check,
; a total at the end. What real hardware does is the measure; where CPUs differ, both answers are taken.
;
;   cpuid.inc        every leaf, prefixes               exceptions.inc  faults, instructions that are not there
;   ports.inc        every port, every width            steps.inc       single steps, interrupt shadows, HLT
;   msrs.inc         the three ranges                   strings.inc     INS and OUTS, all widths, directions, segments, faults
;   control.inc      CR0-CR8, XSETBV                    paging.inc      code on page borders, changed mappings
;   modes.inc        compatibility, 32-bit with each kind of paging, real mode

%include "multiboot.inc"
%include "serial.inc"
%include "options.inc"
%include "idt.inc"
%include "timer.inc"
%include "power.inc"

; %1: condition that holds when all is well, %2: name. Clobbers RSI.
%macro check 2+
  mov esi, %%name
  j%+1 %%ok
  call check_failed
  jmp %%over
%%name: db %2, 0
%%ok:
  call check_passed
%%over:
%endmacro

; %1: vector that %3, one instruction, shall raise.
%macro raises 3+
  expect %%after
  %3
  mov qword [fault_resume], 0
%%after:
  cmp dword [fault_vector], %1
  check e, %2
%endmacro

; %2 shall raise nothing.
%macro passes 2+
  expect %%after
  %2
  mov qword [fault_resume], 0
%%after:
  cmp dword [fault_vector], -1
  check e, %1
%endmacro

%macro title 1
  print "torture: ", %1, 10
%endmacro

%include "cpuid.inc"
%include "exceptions.inc"
%include "control.inc"
%include "msrs.inc"
%include "steps.inc"
%include "strings.inc"
%include "paging.inc"
%include "modes.inc"
%include "ports.inc"

main:
  print "torture: start", 10
  call idt_init
  call cpuid_tests
  call exception_tests
  call control_tests
  call msr_tests
  call step_tests
  call string_tests
  call paging_tests
  call mode_tests
  call port_tests
  print "torture: "
  print_decimal [checks]
  print " checks, "
  print_decimal [failures]
  print " failed", 10
  ret

; In: RSI the check's name. Keep all registers.
check_passed:
  inc qword [checks]
  print "ok "
  jmp check_name
check_failed:
  inc qword [checks]
  inc qword [failures]
  print "FAIL "
check_name:
  call put_string
  print 10
  ret

align 8
checks: dq 0
failures: dq 0

%include "end.inc"
