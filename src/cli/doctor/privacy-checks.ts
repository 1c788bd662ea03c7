import { existsSync } from 'node:fs';
import type { Config } from '../../config.ts';
import {
  describeMissingModes,
  describePicturesElsewhere,
  hasModes,
  isOwn,
  rightsOfOthers,
} from '../../data-folder/private-folder.ts';
import type { Finding } from './finding.ts';

/** Checks whether other users of this machine can read Vitrine's files. Read-only: startup changes the modes. */
export function checkPrivacy({ dataDir, storage }: Config): Finding[] {
  const elsewhere = storage.kind === 'local' && describePicturesElsewhere(storage.path, dataDir);
  return [
    checkDataFolder(dataDir),
    elsewhere
      ? warn(elsewhere, 'Leave it so only for a web server or a backup that reads the pictures there.')
      : [],
  ].flat();
}

function checkDataFolder(folder: string): Finding {
  if (!existsSync(folder))
    return { subject: 'privacy', state: `${folder} is not there yet; it will be private` };
  if (!hasModes) return { subject: 'privacy', state: describeMissingModes(folder) };
  const rights = rightsOfOthers(folder);
  if (rights === undefined) return { subject: 'privacy', state: `${folder} is its user's alone` };
  return warn(
    `others on this machine may enter ${folder} (mode ${rights})`,
    isOwn(folder)
      ? `Start Vitrine as the owner of the folder, which closes it, or run chmod -R go-rwx ${folder}.`
      : 'Set DATA_DIR to a folder that nobody else needs.',
  );
}

function warn(state: string, remedy: string): Finding {
  return { subject: 'privacy', state, remedy, isWarning: true };
}
