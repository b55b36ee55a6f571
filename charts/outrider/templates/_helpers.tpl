{{/* The stem of every name: the release's name where it already says "outrider", else both. At most 40 characters, so that suffixes fit. */}}
{{- define "outrider.fullname" -}}
{{- $name := ternary .Release.Name (printf "%s-outrider" .Release.Name) (contains "outrider" .Release.Name) -}}
{{- $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Names of objects that more than one template or process must agree on. */}}
{{- define "outrider.certificateSecret" -}}{{ include "outrider.fullname" . }}-certificates{{- end -}}
{{- define "outrider.caSecret" -}}{{ include "outrider.fullname" . }}-ca{{- end -}}
{{- define "outrider.adminSecret" -}}
{{- .Values.tracker.adminKey.existingSecret | default (printf "%s-admin" (include "outrider.fullname" .)) -}}
{{- end -}}
{{- define "outrider.adminSecretKey" -}}
{{- ternary .Values.tracker.adminKey.existingSecretKey "key" (ne .Values.tracker.adminKey.existingSecret "") -}}
{{- end -}}

{{/* Where sidecars and the controller reach the tracker: https://host:port, no path. */}}
{{- define "outrider.trackerURL" -}}
{{- if .Values.tracker.enabled -}}
https://{{ include "outrider.fullname" . }}-tracker.{{ .Release.Namespace }}.svc:8443
{{- else -}}
{{- .Values.tracker.external.url -}}
{{- end -}}
{{- end -}}

{{/* image, from (list root "operator"): registry/name:tag, and the digest where one is set. */}}
{{- define "outrider.image" -}}
{{- $root := index . 0 -}}{{- $part := index . 1 -}}
{{- $image := $root.Values.image -}}{{- $own := index $image $part -}}
{{- with $image.registry }}{{ . | trimSuffix "/" }}/{{ end -}}
{{- $own.name }}:{{ $image.tag | default $root.Chart.AppVersion -}}
{{- with $own.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* OUTRIDER_INJECTION: what webhook and controller inject, as the JSON object that outrider_operator/core/injection_config.py reads. */}}
{{- define "outrider.injection" -}}
{{- $injection := .Values.injection -}}
{{- $config := dict
  "trackerUrl" (include "outrider.trackerURL" .)
  "image" (include "outrider.image" (list . "sidecar"))
  "imagePullPolicy" .Values.image.pullPolicy
  "imagePullSecrets" $injection.imagePullSecrets
  "guaranteed" $injection.resources.guaranteed
  "burstable" $injection.resources.burstable
  "bestEffort" $injection.resources.bestEffort
  "spoolLimit" $injection.spoolLimit
  "metricsInterval" $injection.metricsInterval
  "linger" $injection.linger
  "capture" $injection.capture
-}}
{{- if not .Values.tracker.enabled -}}
{{- $_ := set $config "ca" (ternary .Values.tracker.external.ca "" (ne (trim .Values.tracker.external.ca) "")) -}}
{{- end -}}
{{- toJson $config -}}
{{- end -}}

{{/* Labels that select a part's pods, from (list root "webhook"). Immutable: nothing that changes with a version. */}}
{{- define "outrider.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: outrider
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "outrider.labels" -}}
{{- $root := index . 0 -}}
{{ include "outrider.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: outrider
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Metadata of a namespaced object, from (list root "webhook" "name suffix"). */}}
{{- define "outrider.metadata" -}}
{{- $root := index . 0 -}}
name: {{ include "outrider.fullname" $root }}-{{ index . 2 }}
namespace: {{ $root.Release.Namespace }}
labels: {{- include "outrider.labels" (list $root (index . 1)) | nindent 2 }}
{{- end -}}

{{/* Pod-level security: what Pod Security "restricted" asks for. 65532 is the images' own user. */}}
{{- define "outrider.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "outrider.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* What every pod template of ours begins with, from (list root "webhook"). */}}
{{- define "outrider.podHead" -}}
{{- $root := index . 0 -}}{{- $part := index $root.Values (index . 1) -}}
metadata:
  labels:
    {{- include "outrider.selector" . | nindent 4 }}
    {{- with $part.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  annotations:
    kubectl.kubernetes.io/default-container: {{ index . 1 }}
    {{- with $part.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
{{- end -}}

{{- define "outrider.podSpecHead" -}}
{{- $root := index . 0 -}}{{- $part := index $root.Values (index . 1) -}}
serviceAccountName: {{ include "outrider.fullname" $root }}-{{ index . 1 }}
automountServiceAccountToken: true
enableServiceLinks: false
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets: {{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
securityContext: {{- include "outrider.podSecurity" $root | nindent 2 }}
{{- with $part.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $part.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
affinity:
{{- if $part.affinity }}
{{ toYaml $part.affinity | indent 2 }}
{{- else }}
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels: {{- include "outrider.selector" . | nindent 12 }}
{{- end }}
topologySpreadConstraints:
- maxSkew: 1
  topologyKey: topology.kubernetes.io/zone
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels: {{- include "outrider.selector" . | nindent 6 }}
{{- end -}}

{{/* The ingress rules through which metrics are read from port "health": none where nobody is named. */}}
{{- define "outrider.metricsRule" -}}
{{- with .Values.networkPolicy.metricsFrom -}}
- from: {{- toYaml . | nindent 4 }}
  ports:
  - {port: health, protocol: TCP}
{{- else -}}
[]
{{- end -}}
{{- end -}}

{{/* The ConfigMap of tracker.entities. Its content is in its name, so that a change begins the tracker anew, which reads it once. */}}
{{- define "outrider.entityMap" -}}
{{ include "outrider.fullname" . }}-entities-{{ toJson .Values.tracker.entities | sha256sum | trunc 8 }}
{{- end }}
