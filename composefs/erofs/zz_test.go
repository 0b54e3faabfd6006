package erofs_test
import ("testing";"os/exec";"fmt";"github.com/cfs-label/cfs-label/composefs/fsverity")
func TestX(t *testing.T){
 ok:=0
 for _,v:=range vectors(t){ if v.name=="symlink-empty"{continue}
  c:=readDump(t,v.dump,fsverity.SHA512)
  for _,f:=range formats{
   out,err:=exec.Command("fsck.erofs","--extract",tempFile(t,writeImage(t,c,f,fsverity.SHA512))).CombinedOutput()
   if err!=nil{fmt.Println(v.name,f,string(out))}else{ok++}
 }}
 for _,s:=range shapes(){ if s.slow{continue}; m:=newMaker(); s.make(m); c:=check(t,m.t)
  for _,f:=range formats{
   out,err:=exec.Command("fsck.erofs","--extract",tempFile(t,writeImage(t,c,f,fsverity.SHA256))).CombinedOutput()
   if err!=nil{fmt.Println(s.name,f,string(out)[:min(len(out),300)])}else{ok++}
 }}
 fmt.Println("ok",ok)
}
