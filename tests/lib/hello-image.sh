#!/bin/bash
# hello-image.sh DIR REFERENCE [TEXT]: makes the example's web server image from Debian's busybox as an OCI layout in DIR
# and pushes it to REFERENCE (host:port/name:tag, without TLS). The server answers TEXT and the name of its pod.
set -euo pipefail
dir=$1 reference=$2 text=${3:-Hello}
layout=$dir/layout
rm -rf "$layout" "$dir/root"
mkdir -p "$dir/root/bin" "$dir/root/www" "$dir/root/tmp" "$dir/root/etc"
cp /bin/busybox "$dir/root/bin/busybox"
for applet in sh httpd cat ls echo sleep wget nc ps env id hostname nslookup kill sed grep date mkdir rm touch ln stat \
    head tail wc true false test seq cut sort uniq tr ip ping mount df du chmod chown find tar vi top; do
    ln -s busybox "$dir/root/bin/$applet"
done
printf 'root:x:0:0:root:/:/bin/sh\nweb:x:1000:1000:web:/:/bin/sh\n' >"$dir/root/etc/passwd"
printf 'root:x:0:\nweb:x:1000:\n' >"$dir/root/etc/group"
cat >"$dir/root/bin/serve" <<SERVE
#!/bin/sh
# Answers every request with one line. On SIGTERM it goes on serving for a moment: clients may still be on their way.
mkdir -p /tmp/www
echo "$text from \$(hostname)" >/tmp/www/index.html
exec httpd -f -p 8080 -h /tmp/www
SERVE
chmod 755 "$dir/root/bin/serve"
umoci init --layout "$layout"
umoci new --image "$layout:v1"
umoci insert --rootless --image "$layout:v1" "$dir/root" /
umoci config --image "$layout:v1" --config.entrypoint /bin/serve --config.env PATH=/bin --config.workingdir / \
    --config.exposedports 8080/tcp
[ "$reference" = - ] ||
    skopeo --insecure-policy copy -q --dest-tls-verify=false "oci:$layout:v1" "docker://$reference"
