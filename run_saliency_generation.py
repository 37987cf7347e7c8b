"""Run generate_saliency_maps.py with the defaults of a quick test, or on a simulated demo.

Any further option is passed on and overrides the default here, for example:

  python run_saliency_generation.py --device cpu --methods saliency
  python run_saliency_generation.py --demo
"""

import argparse
import sys
from pathlib import Path

import generate_saliency_maps
from mri_saliency.errors import UserError
from mri_saliency.parser import get_parser

N_SAMPLES = 20


def main(args: list[str] | None = None) -> int:
    """Run the quick test or the demo; return the script's exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "--demo",
        nargs="?",
        const=Path("demo_run"),
        type=Path,
        metavar="FOLDER",
        help="simulate a cohort and train a small network on it in FOLDER (default: demo_run), "
        "and explain that instead",
    )
    options, passed_on = parser.parse_known_args(args)
    defaults = ["--max_samples", str(N_SAMPLES)]
    if options.demo is None:
        return generate_saliency_maps.main(defaults + passed_on)

    get_parser().parse_args(passed_on)  # a mistyped option ends here, before the demo trains
    from mri_saliency.demo import demo

    try:
        return demo.run(options.demo, defaults + passed_on, generate_saliency_maps.main)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return generate_saliency_maps.WRONG_REQUEST
    except KeyboardInterrupt:
        print("\ninterrupted; the same command begins the demo again.", file=sys.stderr)
        return generate_saliency_maps.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
