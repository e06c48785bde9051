"""Builds {{name}}.wasm: the component, followed by the section with its requests."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
COMPONENT = HERE / "{{name}}.wasm"


def length(number: int) -> bytes:
    """Encodes a length as WebAssembly does."""
    return bytes([number]) if number < 128 else bytes([number % 128 + 128]) + length(number // 128)


def section(name: bytes, content: bytes) -> bytes:
    """Encodes a custom section."""
    body = length(len(name)) + name + content
    return b"\0" + length(len(body)) + body


def main() -> None:
    tool = Path(sys.executable).parent / "componentize-py"
    command = [tool, "-d", "wit", "-w", "plugin", "componentize", "app", "-o", COMPONENT]
    subprocess.run(command, cwd=HERE, check=True)
    with COMPONENT.open("ab") as component:
        component.write(section(b"cowhand:requests", (HERE / "requests.json").read_bytes()))


if __name__ == "__main__":
    main()
