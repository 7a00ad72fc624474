#!/bin/sh
# Puts a built binary, its manual pages, completions and licences into dist/gan-VERSION-TARGET.tar.gz (.zip for Windows).
#
#     sh packaging/archive.sh TARGET [PROFILE]
#
# The binary must run here. PROFILE is the profile that it was built with: dist unless named.
set -eu
target=$1
profile=${2:-dist}
built="${CARGO_TARGET_DIR:-target}/$target/$profile"
binary=gan
case $target in *windows*) binary=gan.exe ;; esac

version=$("$built/$binary" --version | cut -d ' ' -f 2)
name="gan-$version-$target"
rm -rf "dist/$name"
mkdir -p "dist/$name/man" "dist/$name/completions"
cp "$built/$binary" README.md LICENSE-MIT LICENSE-APACHE CHANGELOG.md "dist/$name"
"$built/$binary" man > "dist/$name/man/gan.1"
# The commands are in the section "SUBCOMMANDS" of the first page, each as gan-COMMAND(1).
for command in $(sed -n 's/^gan\\-\([a-z]*\)(1)$/\1/p' "dist/$name/man/gan.1"); do
    if [ "$command" != help ]; then "$built/$binary" man "$command" > "dist/$name/man/gan-$command.1"; fi
done
for shell in bash elvish fish powershell zsh; do
    "$built/$binary" completions "$shell" > "dist/$name/completions/gan.$shell"
done
cd dist
case $target in
*windows*) 7z a -bd "$name.zip" "$name" > /dev/null ;;
*) tar -czf "$name.tar.gz" "$name" ;;
esac
rm -r "$name"
ls -l "$name".*
