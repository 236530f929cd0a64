// Intel VMX: the checks of a VM entry on controls, host state and guest state, in the manual's order (SDM vol. 3, 27.2 and 27.3; edition
// 325462-083). Mirrors svm.ts. Not checked: what lies in memory (MSR areas, the VTPR, the VMCS behind the link pointer, PDPTEs without
// EPT), and the state of features whose controls this kit never sets (CET, MPX, PT, LBR, PKRS, tertiary controls); docs/explain.md.

import { nonRegisters, pdptes } from "./vmxactivity";
import { look } from "./vmxcommon";
import { entryControls, event, executionControls, exitControls } from "./vmxcontrols";
import { host, registers, tables } from "./vmxregisters";
import { segments } from "./vmxsegments";

export function vmx(): void {
  look();
  executionControls();
  exitControls();
  entryControls();
  event();
  host();
  registers();
  segments();
  tables();
  nonRegisters();
  pdptes();
}
