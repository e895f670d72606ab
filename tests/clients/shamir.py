"""Shamir's secret sharing in HashiCorp's layout (GF(2^8) with 0x11B, y bytes, then x), not by our own code.

shamir.py at X SHARE...   prints in hex what the polynomial through the shares (hex) gives at X: the secret where X is 0, else
                          the share for X, as it would have been split.
"""

import sys


def times(a, b):
    product = 0
    while b:
        if b & 1:
            product ^= a
        a = a << 1 ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return product


INVERSE = {a: b for a in range(1, 256) for b in range(1, 256) if times(a, b) == 1}


def at(x, shares):
    points = [share[-1] for share in shares]
    value = bytearray(len(shares[0]) - 1)
    for share in shares:
        weight = 1
        for other in points:
            if other != share[-1]:
                weight = times(weight, times(x ^ other, INVERSE[share[-1] ^ other]))
        for index, y in enumerate(share[:-1]):
            value[index] ^= times(y, weight)
    return bytes(value) + (bytes([x]) if x else b"")


if __name__ == "__main__":
    print(at(int(sys.argv[2]), [bytes.fromhex(share) for share in sys.argv[3:]]).hex())
