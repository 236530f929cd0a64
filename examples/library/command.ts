import { up } from "hvkit";

await using hvkit = await up(); // boots the hypervisor, unless it is up; `connect()` takes one that is up
const guest = await hvkit.run("linux", { name: "web", memory: "256M", append: "nonce=7" });

const { code, stdout, stderr } = await guest.exec(["uname", "-r"]);
console.log(code, stdout.toString(), stderr.toString());

await guest.write("poweroff\n");
for await (const line of guest.lines()) console.log(line); // until the guest ends
