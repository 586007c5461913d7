# The image is what `make build` makes and nothing else: no shell, no package manager, no root.
# tests/image/run carries out these very steps in a bare Debian tree.

FROM debian:12 AS build
WORKDIR /src
COPY tools/ tools/
RUN tools/setup build
COPY . .
RUN make build
RUN tools/image-root /image

FROM scratch
COPY --from=build /image/ /
COPY --from=build --chown=10001:10001 /image/data/ /data/
USER 10001:10001
ENV HOME=/home/belay
ENV GITHUB_COPILOT_TOKEN_DIR=/data/github_copilot
ENV BELAY_DATA_DIR=/data/belay
VOLUME /data
EXPOSE 4000 4001
HEALTHCHECK --interval=30s --timeout=3s --start-period=10s --start-interval=1s CMD ["/usr/bin/belay", "health"]
ENTRYPOINT ["/usr/bin/belay"]
CMD ["serve", "--host", "0.0.0.0"]
