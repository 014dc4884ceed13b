"""Names for runs that were given none: an adjective, an animal and a number, as MLflow's users know them."""

from __future__ import annotations

import random

_ADJECTIVES = """
able amused bold brave bright calm capable casual charming clever crisp curious dapper dazzling eager fair fancy
fearless gentle glad graceful handy hearty honest humble inquisitive jolly keen kind likeable lively loud lucky
marvelous merciful mighty nimble orderly patient placid polite quick quiet rare resilient righteous sassy sincere
skilled smiling sneaky spiffy stately tasteful thoughtful trusting upbeat useful valuable vaunted wise youthful
"""
_ANIMALS = """
ant ape auk bass bat bear bee bird boar bug calf carp cat chimp cod colt conch cow crab crane crow cub deer doe
dog dolphin donkey dove duck eel elk fawn finch fish flea fly foal fowl fox frog gnat goat goose grouse grub gull
hare hawk hen hog horse hound jay kit kite koi lamb lark loon lynx mare midge mink mole moose moth mouse mule newt
owl ox panda penguin perch pig pug quail ram rat ray robin roo rook seal shad shark sheep shoat shrew shrike shrimp
skink skunk sloth slug smelt snail snake snipe sow sponge squid squirrel stag steed stoat stork swan tern toad
trout turtle vole wasp whale wolf worm wren yak zebra
"""


def random_run_name() -> str:
    """Return a name such as `gentle-newt-417`; names need not be unique."""
    return f"{random.choice(_ADJECTIVES.split())}-{random.choice(_ANIMALS.split())}-{random.randint(0, 1000)}"
