{{/* What the schema cannot say: values that do not go together, each refused with what to do. Included once, by serviceaccounts.yaml. */}}
{{- define "outrider.validate" -}}
{{- $v := .Values -}}
{{- if eq $v.image.tag "latest" }}
{{- fail "image.tag is \"latest\", which names other bytes every day and makes nodes disagree: give a version, or digests" }}
{{- end }}
{{- if and (not $v.tracker.enabled) (not $v.tracker.external.url) }}
{{- fail "tracker.enabled is false, so tracker.external.url must say where the tracker is, as https://host:port" }}
{{- end }}
{{- if and $v.tracker.enabled (or $v.tracker.external.url (trim $v.tracker.external.ca)) }}
{{- fail "tracker.external is set, but tracker.enabled is true: set tracker.enabled=false to use the tracker that runs elsewhere, or empty tracker.external" }}
{{- end }}
{{- if and $v.tracker.storage.ephemeral $v.tracker.storage.className }}
{{- fail "tracker.storage.ephemeral and tracker.storage.className exclude each other: an emptyDir has no StorageClass" }}
{{- end }}
{{- if and (eq $v.tracker.service.type "ClusterIP") (or $v.tracker.service.nodePorts.http $v.tracker.service.nodePorts.https) }}
{{- fail "tracker.service.nodePorts is set, but tracker.service.type is ClusterIP: set the type to NodePort or LoadBalancer" }}
{{- end }}
{{- range $part := list "controller" "webhook" "tracker" }}
{{- range $key := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" }}
{{- if hasKey (index $v $part).podLabels $key }}
{{- fail (printf "%s.podLabels sets %s, by which the chart's own selectors find the pods: use another label" $part $key) }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
