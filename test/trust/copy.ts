// Copies a directory with its modes, which Node 24's cpSync gives to the files in it only.
import { execFileSync } from 'node:child_process';

export function copyDirectory(from: string, to: string): void {
  execFileSync('cp', ['-a', from, to]);
}
