"""A stock validator: PyJWT and a JWK Set. It knows nothing of who issued the token."""

import argparse
import json
import sys

import jwt

parser = argparse.ArgumentParser()
source = parser.add_mutually_exclusive_group(required=True)
source.add_argument("--jwks-url")
source.add_argument("--jwks-file")
parser.add_argument("--issuer", required=True)
parser.add_argument("--audience", required=True)
arguments = parser.parse_args()
token = sys.stdin.read().strip()

try:
    if arguments.jwks_url:
        key = jwt.PyJWKClient(arguments.jwks_url).get_signing_key_from_jwt(token).key
    else:
        with open(arguments.jwks_file) as file:
            keys = jwt.PyJWKSet.from_dict(json.load(file))
        key = keys[jwt.get_unverified_header(token)["kid"]].key
    claims = jwt.decode(
        token, key, algorithms=["RS256"], issuer=arguments.issuer, audience=arguments.audience
    )
except (jwt.PyJWTError, KeyError) as error:
    sys.exit(type(error).__name__)
print(json.dumps(claims))
