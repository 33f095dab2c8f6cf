/** A service that is not started again soon, so that a test need not be quick. */
import { read, write } from "./files.ts";
import type { Sandbox } from "./sandbox.ts";
import type { Service } from "./service.ts";
import type { Supervisor } from "./supervisor.ts";
import { until } from "./until.ts";

/**
 * sysmgr over a service that ends at once: resolves when its next start is due in half a minute.
 * By then it has had two lives; a successor of the first sysmgr took it for one that had many.
 */
export async function longBackoff(box: Sandbox, service: Service): Promise<Supervisor> {
  for (let sysmgr = await box.start(); ; ) {
    await service.is("backoff");
    await sysmgr.crash();
    const text = read(service.file("status")) ?? "";
    write(
      service.file("status"),
      text.replace(/^short=.*$/m, "short=60").replace(/^runs=.*$/m, "runs=1"),
    );
    sysmgr = await box.start();
    const short = () => Number(service.status.short) > 60;
    // On a busy machine even this life may last for a second, and not count as short.
    await until(() => short() || Number(service.status.runs) > 2, "another life");
    if (short()) return sysmgr;
  }
}
