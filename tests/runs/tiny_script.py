"""The script, for the tiny network of the tests: what tests run in processes of their own."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import generate_saliency_maps  # noqa: E402


def main():
    import tests.conftest  # noqa: F401  registers the tiny network

    return generate_saliency_maps.main()


if __name__ == "__main__":
    sys.exit(main())
